"""The one message that may confirm an opt-out: the only exemption from it, once and within five minutes.

Source: 47 CFR 64.1200(a)(12), which allows one confirmation within five minutes. Other laws that allow one name no
figure, so the same holds everywhere.
"""

from __future__ import annotations

from policies.facts import Facts

#: Seconds from an opt-out in which its confirmation may begin. Later it answers nothing: it would be a message to
#: somebody who wants none.
WITHIN = 5 * 60


def opted_out(facts: Facts) -> bool:
    """Whether the contact asked for no more messages at all, or for none about this topic."""
    return facts.opted_out or (bool(facts.opted_out_topics) and facts.topic in facts.opted_out_topics)


def ends_at(facts: Facts) -> int | None:
    """When the message's time as a confirmation ends, epoch seconds UTC; None: it confirms no opt-out of the contact's.

    0 where it is not known when they opted out: what cannot be shown to be in time is not.
    """
    if not facts.confirms_opt_out or not opted_out(facts):
        return None
    return 0 if facts.opted_out_at is None else facts.opted_out_at + WITHIN


def exempt(facts: Facts, now: int) -> bool:
    """Whether this is, at ``now``, the one service message that may confirm the opt-out: none was sent since."""
    if not facts.confirms_opt_out or facts.category != "service" or facts.opted_out_at is None:
        return False
    if now >= facts.opted_out_at + WITHIN:
        return False
    return not any(send.confirms_opt_out and send.at >= facts.opted_out_at for send in facts.sends)
