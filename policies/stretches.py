"""What single rules leave of the time from ``now`` on, where that is one stretch; None where it may be more.

The same as the rules themselves say (``policies.rules``, ``policies.grounds``), in the arithmetic of the short way.
"""

from __future__ import annotations

from policies.facts import Facts, Planned, Send
from policies.grounds import marketing_token, one_time_token
from policies.intervals import Interval, union
from policies.plain import Carrier, Plain
from policies.rules.consent import accepted, end_of
from policies.rules.frequency_cap import closed_rolling

#: (begin, end, ground).
Grounded = tuple[int, int, str]


def resting(place: Plain, sends: tuple[Send, ...], planned: tuple[Planned, ...], now: int) -> tuple[int, int] | None:
    """When the gaps and the full rolling caps end, each at least ``now``."""
    if place.calendar:
        return None
    if planned:
        return _resting_ahead(place, sends, planned, now)
    gap = cap = now
    for applies_to, between, caps in place.paces:
        counted = [send.at for send in sends if not applies_to or send.category in applies_to]
        count = len(counted)
        if not count:
            continue
        if count > 1:
            counted.sort()
        newest = counted[-1]
        if newest > now:
            return None
        if newest + between > gap:
            gap = newest + between
        # A cap is full until the newest sends that fill it begin to drop out.
        for number, period in caps:
            if number <= count and counted[-number] + period > cap:
                cap = counted[-number] + period
    return gap, cap


def _resting_ahead(
    place: Plain, sends: tuple[Send, ...], planned: tuple[Planned, ...], now: int
) -> tuple[int, int] | None:
    """The same where something is planned, which closes times before itself, too."""
    gaps: list[Interval] = []
    full: list[Interval] = []
    for applies_to, between, caps in place.paces:
        counted = sorted([send.at for send in sends if not applies_to or send.category in applies_to])
        ahead = sorted([each.at for each in planned if not applies_to or each.category in applies_to])
        if counted and counted[-1] > now:
            return None
        gaps += [(at, at + between) for at in counted[-1:]] + [(at - between + 1, at + between) for at in ahead]
        for limit, period in caps:
            full += closed_rolling(limit, period, counted, ahead)
    gap, cap = _opens(gaps, now), _opens(full, now)
    return None if gap is None or cap is None else (gap, cap)


def _opens(closed: list[Interval], now: int) -> int | None:
    """From when on nothing is closed any more; None where that is not one stretch from ``now`` on."""
    left = [each for each in union(closed) if each[1] > now]
    if not left:
        return now
    return left[0][1] if len(left) == 1 and left[0][0] <= now else None


def consented(place: Plain, facts: Facts, now: int, limit: int) -> int | None:
    """Until when every jurisdiction that asks has its consent, at most ``limit``; ``now``: some one has none."""
    until = limit
    for asked in place.asked:
        last = now
        coming = False
        for consent in accepted(facts, asked):
            end = end_of(asked, consent)
            if end is None or end > limit:
                end = limit
            if consent.granted_at > now:
                coming = True
            elif end > last:
                last = end
        if coming and last < limit:
            return None
        if last < until:
            until = last
    return until


def on_tokens(carriers: tuple[Carrier, ...], facts: Facts, now: int, limit: int) -> list[Grounded] | None:
    """The stretches up to ``limit`` that the person's tokens give, by preference of their grounds."""
    found: list[Grounded] = []
    topic = facts.topic
    for ground, kind, since, until, rest in carriers:
        tokens = [token for token in facts.tokens if token.kind == kind]
        if not tokens or (until is not None and until <= now) or (since is not None and since >= limit):
            continue
        if (since is not None and since > now) or (until is not None and until < limit):
            # The platform's rules change in between.
            return None
        begin, end = now, now
        if kind == marketing_token.KIND:
            used = marketing_token.uses(facts)
            if used and (latest := max(used)) + rest > now:
                if latest > now:
                    return None
                begin = latest + rest
        for token in tokens:
            if token.topic is not None and token.topic != topic:
                continue
            dies = token.expires_at
            if dies is None or dies > limit:
                dies = limit
            last_used = token.last_used_at
            if kind == marketing_token.KIND:
                if dies > end:
                    end = dies
            elif kind == one_time_token.KIND:
                if last_used is None and dies > end:
                    end = dies
            elif last_used is None:
                if dies > now:
                    found.append((now, dies, ground))
            elif last_used > now:
                return None
            elif (ready := max(now, last_used + rest)) < dies:
                found.append((ready, dies, ground))
        if begin < end:
            found.append((begin, end, ground))
    return found
