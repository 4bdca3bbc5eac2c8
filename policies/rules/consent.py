"""Which consent a promotional message asks for, beside the window or the token it goes on.

Under ``[consent] require = "inbound"`` none: writing to us, or granting a token, is consent enough. Under "packs" every
jurisdiction of the contact's place that asks for consent must have one of a kind that it accepts, for as long as it
lets that last; a place that nobody knows asks for express consent.
"""

from __future__ import annotations

from policies.binding import Asked
from policies.case import Case
from policies.decision import Finding
from policies.facts import Consent, Facts
from policies.intervals import Intervals, covers, intersect, union
from policies.law_terms import Duty
from policies.rules.rule import Rule, finding, standing

NAME = "consent"


def narrow(case: Case, times: Intervals) -> Intervals:
    """Those at which every jurisdiction that asks has its consent."""
    for asked in case.binding.consents:
        if not times:
            break
        times = intersect(times, _satisfied(case, asked))
    return times


def _satisfied(case: Case, asked: Asked) -> Intervals:
    reach = case.whole[0][1]
    found = []
    for consent in accepted(case.facts, asked):
        end = end_of(asked, consent)
        found.append((max(consent.granted_at, case.now), reach if end is None else min(end, reach)))
    return union(found)


def accepted(facts: Facts, asked: Asked) -> list[Consent]:
    """The person's consents that will do for this message, ended or not."""
    topic = facts.topic
    return [each for each in facts.consents if each.kind in asked.kinds and each.topic in (None, topic)]


def end_of(asked: Asked, consent: Consent) -> int | None:
    """When a consent ends for whoever asks, epoch seconds UTC; None: never."""
    if asked.law is None:
        return consent.expires_at
    return asked.law.end_of(consent.kind, consent.granted_at, consent.expires_at)


def _ended(case: Case, asked: Asked) -> bool:
    ends = [end for each in accepted(case.facts, asked) if (end := end_of(asked, each)) is not None]
    return any(end <= case.now for end in ends)


def _reason(case: Case) -> str:
    # A jurisdiction that has its consent is not a reason, whatever else ended there.
    times = [(each, _satisfied(case, each)) for each in case.binding.consents]
    lacking = [each for each, held in times if not covers(held, case.now, case.remaining)]
    if not lacking:
        # All is there now; what is to blame ends before anything else lets the message go.
        return "consent_expired"
    return "consent_expired" if any(_ended(case, each) for each in lacking) else "no_consent"


def _findings(case: Case) -> list[Finding]:
    duties = [_duty(duty) for duty in case.binding.duties]
    if case.binding.consents:
        return [*(_finding(case, asked) for asked in case.binding.consents), *duties]
    if case.policy.consent == "packs":
        return [standing(NAME, reason=None, words="no jurisdiction asks for consent to this message"), *duties]
    words = "writing to the page, or granting a token, is consent enough for this policy"
    return [standing(NAME, reason=None, words=words), *duties]


def _duty(duty: Duty) -> Finding:
    """What the law asks of the sender: it holds no message, for nothing known of the person says whether it is done."""
    source = duty.source
    found = standing(
        NAME, reason=None, words=f"{source.jurisdiction}, since {duty.since}: {duty.what}",
        clause=f"{source.jurisdiction}.{duty.id}", binds=source.basis,
        duty=duty.id, jurisdiction=source.jurisdiction, checked=source.checked, confidence=source.confidence,
    )  # fmt: skip
    found.citation = source.citation
    return found


def _finding(case: Case, asked: Asked) -> Finding:
    times = _satisfied(case, asked)
    current = next((end for start, end in times if start <= case.now < end), None)
    source = asked.law.source if asked.law else None
    wanted = " or ".join(asked.kinds)
    words = f"{asked.jurisdiction} asks for {wanted} consent"
    if source is None:
        words = f"nothing tells the country, so {wanted} consent is asked for"
    if current is not None:
        lasting = current >= case.whole[0][1]
        words += "; there is one" + ("" if lasting else f", until {case.shown(current)}")
    elif _ended(case, asked):
        ended = max(end for each in accepted(case.facts, asked) if (end := end_of(asked, each)) is not None)
        words += f"; the last one ended at {case.shown(ended)}"
    else:
        words += "; there is none" + (f" about `{case.facts.topic}`" if case.facts.topic else "")
    return finding(
        case, NAME, times, reason="consent_expired" if _ended(case, asked) else "no_consent", words=words,
        clause=f"{asked.jurisdiction}.consent" if source else NAME,
        binds=source.basis if source else None, citation=source.citation if source else None,
        jurisdiction=asked.jurisdiction, kinds=list(asked.kinds), until=current,
        checked=source.checked if source else None, confidence=source.confidence if source else None,
    )  # fmt: skip


RULE = Rule(NAME, narrow, _reason, _findings)
