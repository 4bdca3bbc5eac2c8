"""Takes due messages on their way: locks, decides again, and writes down what is about to happen before it happens.

One READ COMMITTED transaction, in this order, which is the whole point:

1. choose candidates, without locks, the earliest deadline first; of one person it is the message of highest priority
   that goes, in either lane;
2. lock their contacts, skipping those that somebody else holds;
3. *then*, in later statements, read messages and facts. A ``SELECT … FOR UPDATE`` that waited returns facts as of its
   start; a statement that begins once the lock is held sees everything that was acknowledged before;
4. put off what would take a cap or a gap from something more urgent that is planned (``giving_way.py``);
5. decide, and write attempts, deferrals and denials in bulk.

Whoever calls commits, and only then posts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from policies.engine import decide
from policies.facts import Facts
from scheduler.consent.tokens import use_tokens
from scheduler.content.render import Rendered
from scheduler.facts.correlation import Origin, request_ids
from scheduler.facts.decisions import contact_facts, switches
from scheduler.governance.active import active_policies
from scheduler.logs import get_logger
from scheduler.outbox.attempts import rehearse_attempts, write_attempts
from scheduler.outbox.by_token import SendToken, choose_tokens
from scheduler.outbox.candidates import choose, lock_candidates, rehearse_locks
from scheduler.outbox.content_of import content_of
from scheduler.outbox.giving_way import plan_anew
from scheduler.outbox.metadata import make_metadata, metadata_key
from scheduler.outbox.pauses import NO_BUDGET, RETRIED, budget_pause_seconds, next_try
from scheduler.outbox.verdicts import Verdict, deadline_of, judge, put_aside

_log = get_logger(__name__)

#: The most messages of one batch, and of one page in it: what is decided must be on the wire within 250 ms. (Whoever
#: has fewer threads asks for fewer. Most of what a batch costs is the same whatever its size: at 32 a message takes
#: twice the processor time that it takes at 128. See ``docs/performance.md``.)
BATCH = 128
BATCH_OF_A_PAGE = 10

#: Of a message that goes on no token.
_NO_NEED = SendToken(id=0, kind="recurring", text="")


@dataclass(slots=True, kw_only=True)
class Begun:
    """A message that is about to be posted: its attempt is written, its content rendered, nothing left to look up."""

    message_id: int
    attempt_id: int
    contact_id: int
    page_id: int
    psid: str
    content: Rendered
    metadata: str
    #: What it goes on, where its ground is a token.
    token: SendToken | None = None
    #: Its campaign and event, and the id of the request that it goes back to.
    origin: Origin = (None, None)
    request_id: str | None = None
    #: How often it was begun, this time included; whether the last time the platform could not be reached.
    tries: int
    retry: bool
    #: What is kept of it outside the database, as ``lineage/handing_in.py`` reads it.
    mark: tuple[Any, ...] = ()


def begin(
    session: Session,
    lane: str,
    quotas: Mapping[int, int],
    now: int,
    *,
    limit: int = BATCH,
    retries: Mapping[int, int] | None = None,
) -> list[Begun]:
    """Decide up to ``limit`` due messages of ``lane`` anew, at most ``quotas[page id]`` (≤ 10) a page, one a contact.

    ``retries``: how many of a page's may go that failed before because the platform could not be reached (None: all);
    the others wait. Returns those that may go now, as ``sending`` with their attempts; the others went back to
    ``scheduled``, were parked, ``denied``, ``expired``, ``cancelled`` with their campaign or (content that cannot be
    rendered) ``refused``.
    Empty: nothing due is free. Messages of a page whose policy cannot be read stay due.
    """
    quotas = {page: min(quota, BATCH_OF_A_PAGE) for page, quota in quotas.items() if quota > 0}
    if not quotas:
        return []
    limit = min(limit, BATCH)
    waiting = choose(session, lane, quotas, limit)
    # Whoever activates a policy waits for the wakes that are held by now, so these stand until the end.
    policies = active_policies(session, list(quotas))
    quotas = {page: quota for page, quota in quotas.items() if page not in policies.unreadable}
    candidates = lock_candidates(session, waiting, quotas, limit, now)
    if not candidates:
        return []
    candidates = plan_anew(session, candidates, policies, now)
    verdicts = judge(session, candidates, policies, now)
    _keep_to_budget(verdicts, retries, now)
    sending = _render(session, [verdict for verdict in verdicts if verdict.state == "sending"])
    tokens = choose_tokens(session, sending, policies, now)
    begun = _begin_attempts(session, _with_token(sending, tokens), tokens, now)
    put_aside(session, [verdict for verdict in verdicts if verdict.state != "sending"], now)
    _tell(session, verdicts, begun)
    return begun


def rehearse(session: Session, page_ids: Sequence[int], now: int) -> None:
    """Do what ``begin`` does for nobody: in a new process and on a new connection the first time takes several times
    as long, and the first people's decisions would be too old when their turn comes."""
    rehearse_locks(session)
    nobody = Facts(timezones=("Europe/London",), last_inbound=now, category="promotional")
    for policy in active_policies(session, page_ids).by_page.values():
        decide(policy, nobody, now)
    contact_facts(session, [-1], now)
    switches(session)
    rehearse_attempts(session, now)


def _tell(session: Session, verdicts: Sequence[Verdict], begun: Sequence[Begun]) -> None:
    """A line for each request behind the batch and each state: what was decided, and the attempts that it became."""
    origins = {(verdict.candidate.campaign_id, verdict.candidate.event_id) for verdict in verdicts}
    requests = request_ids(session, origins)
    attempts = {each.message_id: each.attempt_id for each in begun}
    for each in begun:
        each.request_id = requests[each.origin]
    decided: dict[tuple[str | None, str], list[Verdict]] = {}
    for verdict in verdicts:
        request = requests[verdict.candidate.campaign_id, verdict.candidate.event_id]
        decided.setdefault((request, verdict.state), []).append(verdict)
    for (request, state), some in decided.items():
        ids = [verdict.candidate.id for verdict in some]
        _log.info(
            "decided", request_id=request, state=state, messages=ids,
            attempts=[attempts[id_] for id_ in ids if id_ in attempts],
            reasons=sorted({verdict.reason for verdict in some if verdict.reason is not None}),
        )  # fmt: skip


def _keep_to_budget(verdicts: Sequence[Verdict], retries: Mapping[int, int] | None, now: int) -> None:
    """Put off the retries that their pages have no budget for, the latest deadlines first."""
    if retries is None:
        return
    left = dict(retries)
    again = [each for each in verdicts if each.state == "sending" and each.candidate.reason in RETRIED]
    for verdict in sorted(again, key=lambda each: (deadline_of(each) is None, deadline_of(each) or 0)):
        page = verdict.candidate.page_id
        left[page] = left.get(page, 0) - 1
        if left[page] < 0:
            verdict.state, verdict.reason = "scheduled", NO_BUDGET
            verdict.due_at = next_try(now, budget_pause_seconds(), deadline_of(verdict), verdict.candidate.expires_at)


def _render(session: Session, sending: Sequence[Verdict]) -> list[Verdict]:
    contents = content_of(session, [verdict.candidate for verdict in sending])
    good = []
    for verdict in sending:
        verdict.content = contents.get(verdict.candidate.id)
        if verdict.content is None:
            verdict.state, verdict.reason = "refused", "render_error"
        else:
            good.append(verdict)
    return good


def _with_token(sending: Sequence[Verdict], tokens: Mapping[int, SendToken | None]) -> list[Verdict]:
    good = []
    for verdict in sending:
        if tokens.get(verdict.candidate.id, _NO_NEED) is None:
            verdict.state, verdict.reason = "refused", "token_unreadable"
        else:
            good.append(verdict)
    return good


def _begin_attempts(
    session: Session, sending: Sequence[Verdict], tokens: Mapping[int, SendToken | None], now: int
) -> list[Begun]:
    if not sending:
        return []
    token_ids = {message_id: token.id for message_id, token in tokens.items() if token is not None}
    attempts = write_attempts(session, sending, token_ids, now)
    if token_ids:
        begun = {attempts[id_]: token_id for id_, token_id in token_ids.items() if id_ in attempts}
        use_tokens(session, begun, now)
    key = metadata_key()
    return [
        _begun(verdict, attempts[verdict.candidate.id], tokens.get(verdict.candidate.id), key)
        for verdict in sending
        if verdict.candidate.id in attempts
    ]


def _begun(verdict: Verdict, attempt_id: int, token: SendToken | None, key: bytes) -> Begun:
    candidate = verdict.candidate
    assert verdict.content is not None
    return Begun(
        message_id=candidate.id,
        attempt_id=attempt_id,
        contact_id=candidate.contact_id,
        page_id=candidate.page_id,
        psid=candidate.psid,
        content=verdict.content,
        metadata=make_metadata(candidate.id, attempt_id, key),
        token=token,
        tries=candidate.attempts + 1,
        retry=candidate.reason in RETRIED,
        origin=(candidate.campaign_id, candidate.event_id),
        mark=(
            attempt_id, candidate.id, candidate.contact_id, candidate.page_id, candidate.template_id,
            candidate.campaign_id, candidate.event_id, candidate.category, candidate.lane, candidate.topic,
            verdict.decision.ground if verdict.decision is not None else None, token.id if token is not None else None,
        ),
    )  # fmt: skip
