"""Which permission token a message goes on, where tokens are its ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from policies.engine import decide
from policies.facts import Token
from scheduler.consent.tokens import HeldToken, Kind, tokens_in_force
from scheduler.errors import Unavailable
from scheduler.governance.active import ActivePolicies
from scheduler.logs import complain, get_logger
from scheduler.outbox.verdicts import Verdict, ground_of

_log = get_logger(__name__)

#: Ground → the kind of token that it stands on.
KINDS: dict[str, Kind] = {"marketing_token": "marketing", "recurring": "recurring", "one_time_token": "one_time"}


@dataclass(slots=True, kw_only=True)
class SendToken:
    """The token that a message goes on, in the clear: for its request alone, and in no representation."""

    id: int
    kind: Kind
    text: str = field(repr=False)
    #: What a paid message is sent through.
    ad_account_id: str | None = None
    message_campaign_id: str | None = None


def choose_tokens(
    session: Session, sending: Sequence[Verdict], policies: ActivePolicies, now: int
) -> dict[int, SendToken | None]:
    """Message id → the token that it goes on, of those whose ground is one; None: there is none that can be read.

    Of several the one that ends soonest. Asks the database only where there are such messages.
    """
    wanted = [verdict for verdict in sending if ground_of(verdict) in KINDS]
    if not wanted:
        return {}
    held = tokens_in_force(session, [verdict.candidate.contact_id for verdict in wanted])
    return {
        verdict.candidate.id: _choose(verdict, held.get(verdict.candidate.contact_id, []), policies, now)
        for verdict in wanted
    }


def _choose(verdict: Verdict, held: Sequence[HeldToken], policies: ActivePolicies, now: int) -> SendToken | None:
    kind, topic = KINDS[ground_of(verdict) or ""], verdict.candidate.topic
    fitting = [token for token in held if token.kind == kind and token.topic in (None, topic)]
    if len(fitting) > 1:
        fitting = [token for token in fitting if _grounds(verdict, token, policies, now)]
    if not fitting:
        return None
    token = fitting[0]
    try:
        text = token.clear()
    except Unavailable as error:
        complain(_log, "permission_token_unreadable", token.id, token=token.id, way_out=error.way_out)
        return None
    return SendToken(
        id=token.id, kind=kind, text=text,
        ad_account_id=token.ad_account_id, message_campaign_id=token.message_campaign_id,
    )  # fmt: skip


def _grounds(verdict: Verdict, token: HeldToken, policies: ActivePolicies, now: int) -> bool:
    """Whether the message might go on this one alone: the others may rest, be spent or have ended."""
    alone = Token(kind=token.kind, topic=token.topic, expires_at=token.expires_at, last_used_at=token.last_used_at)
    policy = policies.of(verdict.candidate.page_id)
    assert policy is not None  # it decided
    decision = decide(policy, replace(verdict.facts, tokens=(alone,)), now, min_remaining=verdict.guard)
    return decision.verdict == "send" and decision.ground == ground_of(verdict)
