"""What happens in a step of a timeline, as the facts then stand. The grammar: `docs/scenarios.md`.

What people say of messages counts as in the product (`docs/consent.md`): an opt-out ends the consents that it covers,
and no opt-in brings them back.
"""

from __future__ import annotations

from dataclasses import replace

from policies.case import case_of
from policies.facts import Facts, Send, Token
from policies.opt_out_law import floor_of, opt_out_laws
from policies.policy import Policy
from policies.rules.messaging_window import ground_at

#: The ground that a token of each kind is.
_GROUND_OF_TOKEN = {"marketing": "marketing_token", "recurring": "recurring", "one_time": "one_time_token"}


def begin(facts: Facts, at: int) -> None:
    """Change ``facts`` as the opt-outs did that were said before ``at`` (epoch seconds), the first step's instant."""
    said = at if facts.opted_out_at is None else facts.opted_out_at
    if facts.opted_out:
        _end_consents(facts, None, said)
    for topic in facts.opted_out_topics:
        _end_consents(facts, topic, said)


def apply(event: str, topic: str | None, policy: Policy, facts: Facts, at: int) -> None:
    """Change ``facts`` as the event at ``at`` (epoch seconds) does. ``topic``: what an opt-out or opt-in speaks of."""
    if event == "inbound":
        facts.last_inbound = at
        facts.blocked = facts.unreachable = False  # who writes can be reached; an opt-out and a handover stand
    elif event == "opt_out":
        _opt_out(facts, topic, at)
    elif event == "opt_in":
        if topic is None:
            facts.opted_out = False
            facts.opted_out_topics = ()
            facts.opted_out_at = None
        else:
            facts.opted_out_topics = tuple(each for each in facts.opted_out_topics if each != topic)
    elif event == "block":
        facts.blocked = True
    elif event == "sent":
        _send(policy, facts, at)
    else:
        facts.handover = event == "handover"
        facts.handover_at = at if facts.handover else None


def _opt_out(facts: Facts, topic: str | None, at: int) -> None:
    if topic is not None and floor_of(opt_out_laws(facts.timezones, facts.country, facts.region), at) == "everything":
        # A law of the person's place lets one revocation cover everything.
        topic = None
    facts.opted_out_at = at
    if topic is None:
        facts.opted_out = True
    else:
        facts.opted_out_topics = (*(each for each in facts.opted_out_topics if each != topic), topic)
    _end_consents(facts, topic, at)


def _end_consents(facts: Facts, topic: str | None, at: int) -> None:
    """End what was agreed to by then: on the topic that an opt-out speaks of, or at all."""
    facts.consents = tuple(
        each for each in facts.consents if each.granted_at > at or (topic is not None and each.topic != topic)
    )


def _send(policy: Policy, facts: Facts, at: int) -> None:
    ground = _ground(policy, facts, at)
    used = _token(policy, facts, at, ground)
    if used is not None:
        facts.tokens = tuple(replace(each, last_used_at=at) if each is used else each for each in facts.tokens)
    sent = Send(at=at, category=facts.category, ground=ground, confirms_opt_out=facts.confirms_opt_out)
    facts.sends = (*facts.sends, sent)


def _ground(policy: Policy, facts: Facts, at: int) -> str | None:
    # In force whatever else holds the message: somebody sent it all the same.
    try:
        return ground_at(case_of(policy, facts, at, 0), at)
    except Exception:  # a ground that cannot be made out is none, as for a decision
        return None


def _token(policy: Policy, facts: Facts, at: int, ground: str | None) -> Token | None:
    # The first that is the ground by itself: the ground's own rules say which token serves, not a second reading here.
    for token in facts.tokens:
        if _GROUND_OF_TOKEN[token.kind] == ground:
            alone = replace(facts, tokens=(token,))
            if _ground(policy, alone, at) == ground:
                return token
    return None
