"""Who is to blame in a plain case: what ``policies.blame`` says, where each rule but the hours leaves one stretch."""

from __future__ import annotations

from policies.timeline import Timeline

#: A rule that does not always permit, and the one stretch that it leaves: begin, end. Kept by precedence, without
#: ``quiet_hours``, which are the last.
Span = tuple[str, int, int]

_QUIET = "quiet_hours"
_WINDOW = "messaging_window"
_CAP = "frequency_cap"


def shut(spans: list[Span], timeline: Timeline | None, now: int, asked: int) -> tuple[str, ...]:
    """Whoever does not permit throughout [now, asked), by precedence: to blame for a ``defer``."""
    because = [name for name, begin, end in spans if begin > now or end < asked]
    if timeline is not None and not timeline.covers(now, asked):
        because.append(_QUIET)
    return tuple(because)


def relaxable(spans: list[Span], timeline: Timeline | None, now: int, limit: int, remaining: int) -> tuple[str, ...]:
    """Every rule whose relaxation alone would leave something: to blame for a ``deny``."""
    # What the others leave is [latest beginning, earliest end) without one: the second of each is enough to know.
    begin = begin_but_one = now
    end = end_but_one = limit
    latest = earliest = ""
    for name, begins, ends in spans:
        if begins > begin:
            begin, begin_but_one, latest = begins, begin, name
        elif begins > begin_but_one:
            begin_but_one = begins
        if ends < end:
            end, end_but_one, earliest = ends, end, name
        elif ends < end_but_one:
            end_but_one = ends
    because = []
    for name, _, _ in spans:
        if name not in (latest, earliest):
            continue
        begins = begin_but_one if name == latest else begin
        ends = end_but_one if name == earliest else end
        if ends - begins > remaining and (timeline is None or timeline.opens(begins, ends, remaining)):
            because.append(name)
    if end - begin > remaining:
        because.append(_QUIET)
    return tuple(because)


def alone(spans: list[Span], timeline: Timeline | None, now: int, until: int, remaining: int) -> tuple[str, ...]:
    """Every rule that by itself leaves nothing of [now, until): to blame where no relaxation alone would help."""
    because = [name for name, begin, end in spans if min(end, until) - max(begin, now) <= remaining]
    if timeline is not None and not timeline.opens(now, until, remaining):
        because.append(_QUIET)
    return tuple(because)


def code_of(
    because: tuple[str, ...], helps: bool, timeline: Timeline | None, opens: int, closes: int, cap: int, remaining: int
) -> str | None:
    """The window's own codes for a ``deny``: the ground is there in [opens, closes), something else comes after it.

    ``helps``: relaxing any of the blamed would leave something. None: the codes do not fit.
    """
    if because[0] != _WINDOW or closes - opens <= remaining:
        return None
    for rule, code in ((_QUIET, "window_closes_in_quiet_hours"), (_CAP, "window_closes_before_cap")):
        blamed = rule in because
        if blamed and helps:
            return code
        if blamed or len(because) == 1:
            if rule == _CAP:
                late = closes - max(opens, cap) <= remaining
            else:
                late = timeline is not None and not timeline.opens(opens, closes, remaining)
            if late:
                return code
    return None
