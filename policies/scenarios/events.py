"""What happens in a step of a timeline, as the facts then stand. The grammar: `docs/scenarios.md`.

What people say of messages counts as in the product (`docs/consent.md`): an opt-out ends the consents that it covers,
no opt-in brings them back, and of an opt-out and an opt-in in the same second the opt-out counts, whichever came first.
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
#: Topic (None: everything) → when an opt-out of it was last said, epoch seconds; left out: nobody knows, but earlier.
Said = dict[str | None, int]


def begin(facts: Facts, at: int) -> Said:
    """Change ``facts`` as the opt-outs did that were said before ``at`` (epoch seconds), the first step's instant.

    Returns when that was, for ``apply``.
    """
    topics: list[str | None] = [*facts.opted_out_topics]
    if facts.opted_out:
        topics.append(None)
    for topic in topics:
        _end_consents(facts, topic, at if facts.opted_out_at is None else facts.opted_out_at)
    return {} if facts.opted_out_at is None else dict.fromkeys(topics, facts.opted_out_at)


def apply(event: str, topic: str | None, policy: Policy, facts: Facts, at: int, said: Said) -> None:
    """Change ``facts``, and ``said``, as the event at ``at`` (epoch seconds) does.

    ``topic`` is what an opt-out or opt-in speaks of.
    """
    if event == "inbound":
        facts.last_inbound = at
        facts.blocked = facts.unreachable = False  # who writes can be reached; an opt-out and a handover stand
    elif event == "opt_out":
        _opt_out(facts, topic, at, said)
    elif event == "opt_in":
        _opt_in(facts, topic, at, said)
    elif event == "block":
        facts.blocked = True
    elif event == "sent":
        _send(policy, facts, at)
    else:
        facts.handover = event == "handover"
        facts.handover_at = at if facts.handover else None


def _opt_in(facts: Facts, topic: str | None, at: int, said: Said) -> None:
    def lifts(opt_out: str | None) -> bool:
        return topic in (None, opt_out) and said.get(opt_out, at - 1) < at

    facts.opted_out = facts.opted_out and not lifts(None)
    facts.opted_out_topics = tuple(each for each in facts.opted_out_topics if not lifts(each))
    if topic is None and not facts.opted_out and not facts.opted_out_topics:
        facts.opted_out_at = None


def _opt_out(facts: Facts, topic: str | None, at: int, said: Said) -> None:
    if topic is not None and floor_of(opt_out_laws(facts.timezones, facts.country, facts.region), at) == "everything":
        # A law of the person's place lets one revocation cover everything.
        topic = None
    facts.opted_out_at = said[topic] = at
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
