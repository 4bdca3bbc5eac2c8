"""Consent over REST: what a person agreed to, and whether a send was consented when it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Path, Query
from pydantic import BaseModel, Field
from sqlmodel import Session

from policies.decision import Finding
from scheduler.api.auth import Actor
from scheduler.api.contacts import PsidInPath, contact_id_of
from scheduler.api.instants import GivenInstant, Instant, Now
from scheduler.api.messages import FindingView
from scheduler.api.pages import PageInPath
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.audit.record import record
from scheduler.consent.fold import Bar
from scheduler.consent.grants import Grant, Kind, record_grants, withdraw
from scheduler.consent.history import Proof, State, consent_at
from scheduler.contacts.merging import psid_of
from scheduler.contacts.registry import follow
from scheduler.doorbell import ring
from scheduler.errors import Invalid, NotFound
from scheduler.facts.messages import read_message
from scheduler.governance.explanations import explain_log

router = APIRouter(tags=["consent"])

Category = Literal["promotional", "utility", "service"]
Topic = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Reference = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
Source = Literal["message", "postback", "optin", "import", "api", "operator"]


class NewConsent(Body):
    """Something a person agreed to: never without how, when, and the words that they read."""

    topic: Topic | None = Field(None, description="Left out: any topic.")
    kind: Kind = Field(description="night: South Korea's separate consent to the night.")
    source: Source = Field(description="How they agreed.")
    wording: str = Field(
        min_length=1, max_length=10_000, description="What they read, or `sha256:<version>` of a text kept before."
    )
    evidence: Reference | None = Field(None, description="Where the proof is: the id of a form, of an order, …")
    granted_at: GivenInstant
    expires_at: GivenInstant | None = Field(None, description="Left out: as long as their jurisdiction lets it last.")


class Withdrawal(Body):
    """What a person took back."""

    topic: Topic | None = Field(None, description="Left out: all. With one, grants for any topic end too.")
    kind: Kind | None = Field(None, description="Left out: of every kind.")
    source: Source = "operator"
    evidence: Reference | None = None
    at: GivenInstant | None = Field(None, description="When they said so; left out: now.")


class Recorded(BaseModel):
    """A row of the ledger."""

    record_id: int


class BarView(BaseModel):
    """Why a message may not go."""

    reason: str
    topic: str | None
    category: str | None = Field(description="null with a null topic: everything.")
    said_by: str = Field(description="person, platform or operator: whose word it is, and whose word lifts it.")
    since: Instant
    record_id: int = Field(description="The row that put it in force.")


class ConsentView(BaseModel):
    """A grant in force."""

    topic: str | None = Field(description="null: any topic.")
    kind: str
    granted_at: Instant
    expires_at: Instant | None
    record_id: int
    covers: bool = Field(description="It speaks of the topic that was asked about.")


class StateView(BaseModel):
    """What stood."""

    barred: BarView | None = Field(description="What stood against such a message, the widest; null: nothing.")
    bars: list[BarView]
    consents: list[ConsentView]


class RecordView(BaseModel):
    """Something that was said, and what proves it."""

    id: int
    action: str
    source: str
    scope: str | None
    topic: str | None
    category: str | None
    kind: str | None
    occurred_at: Instant = Field(description="When it was said.")
    recorded_at: Instant = Field(description="When Duly knew.")
    known: bool = Field(description="Duly knew it at the instant asked about.")
    expires_at: Instant | None
    wording_version: str | None
    wording: str | None
    event_id: int | None = Field(description="The platform event that proves it.")
    evidence: str | None
    actor: str | None


class ProofView(StateView):
    """What stood at an instant, as Duly knew it then, with every word that it follows from."""

    at: Instant
    topic: str | None
    category: str
    merged_into: str | None = Field(
        description="The psid that stands for the person since they were merged: what was said since then is there."
    )
    hindsight: StateView | None = Field(description="Where later knowledge differs: what had stood in truth.")
    records: list[RecordView] = Field(description="In the order in which they were said.")


class AttemptProof(ProofView):
    """What stood when a request began."""

    attempt_id: int
    outcome: str
    findings: list[FindingView] = Field(description="What the decision to send it said of suppression and consent.")


class MessageProof(BaseModel):
    """Whether a message was consented, request by request."""

    message_id: int
    page: str
    psid: str
    attempts: list[AttemptProof] = Field(description="Empty: nothing of it was ever sent.")


@router.get("/pages/{page}/contacts/{psid}/consent")
def at_an_instant(
    page: PageInPath,
    psid: PsidInPath,
    session: Db,
    now: Now,
    at: Annotated[GivenInstant | None, Query(description="Left out: now.")] = None,
    topic: Annotated[Topic | None, Query()] = None,
    category: Annotated[Category, Query()] = "promotional",
) -> ProofView:
    """What stood at an instant for messages of a topic and category, and the rows of the ledger that prove it."""
    return proof_of(session, page, psid, at=at, topic=topic, category=category, now=now)


@router.get("/messages/{id}/consent")
def of_a_message(message: Annotated[int, Path(alias="id", ge=1, lt=2**63)], session: Db) -> MessageProof:
    """What stood when each request of a message began: was this send consented?"""
    return proof_of_message(session, message)


@router.post("/pages/{page}/contacts/{psid}/consents", status_code=201)
def grant(
    page: PageInPath, psid: PsidInPath, given: NewConsent, session: Db, actor: Actor, now: Now, after: BackgroundTasks
) -> Recorded:
    """Keep what a person agreed to. It lifts no opt-out; what waited is decided anew."""
    given.check()
    if given.granted_at > now:
        raise Invalid("is in the future", field="granted_at", way_out="give the instant at which they agreed")
    contact_id = contact_id_of(session, page, psid)
    kept = Grant(contact_id=contact_id, actor=actor, **{name: getattr(given, name) for name in NewConsent.model_fields})
    (record_id,) = record_grants(session, [kept], now)
    _keep(session, actor, "grant", contact_id, record_id, now)
    after.add_task(ring, "deliver")
    return Recorded(record_id=record_id)


@router.post("/pages/{page}/contacts/{psid}/consents/withdraw", status_code=201)
def take_back(
    page: PageInPath, psid: PsidInPath, session: Db, actor: Actor, now: Now, said: Withdrawal | None = None
) -> Recorded:
    """Keep that a person took back what they had agreed to. In force once this answers."""
    said = said or Withdrawal()
    said.check()
    contact_id = contact_id_of(session, page, psid)
    record_id = withdraw(
        session, contact_id, topic=said.topic, kind=said.kind, source=said.source, evidence=said.evidence, actor=actor,
        at=now if said.at is None else said.at, now=now,
    )  # fmt: skip
    _keep(session, actor, "withdraw", contact_id, record_id, now)
    return Recorded(record_id=record_id)


def proof_of(
    session: Session, page: str, psid: str, *, at: int | None, topic: str | None, category: str, now: int
) -> ProofView:
    """What stood for a person at ``at`` (None: now), as it is shown. Raises NotFound, and Invalid for the future."""
    if at is not None and at > now:
        raise Invalid("is in the future", field="at", way_out="ask about an instant that has been")
    contact_id = contact_id_of(session, page, psid)
    found = consent_at(session, contact_id, now if at is None else at, topic=topic, category=category)
    return ProofView(**_proof(found, topic, category), merged_into=_survivor(session, contact_id))


def proof_of_message(session: Session, message_id: int) -> MessageProof:
    """What stood when each attempt of a message began, as it is shown. Raises NotFound."""
    found = read_message(session, message_id)
    if found is None:
        raise NotFound(f"there is no message {message_id}", field="id", way_out="`duly message list` shows the newest")
    contact_id = contact_id_of(session, found["page"], found["psid"])
    survivor = _survivor(session, contact_id)
    begun = {row["attempt_id"]: row for row in found["log"] if row["to_state"] == "sending"}
    explained = dict(zip(begun, explain_log(session, list(begun.values())), strict=True))
    proofs = []
    for attempt in found["attempts"]:
        proof = consent_at(session, contact_id, attempt["begun_at"], topic=found["topic"], category=found["category"])
        decided = explained.get(attempt["id"])
        proofs.append(
            AttemptProof(
                attempt_id=attempt["id"],
                outcome=attempt["outcome"],
                findings=_findings(decided[1] if decided else ()),
                merged_into=survivor,
                **_proof(proof, found["topic"], found["category"]),
            )
        )
    return MessageProof(message_id=message_id, page=found["page"], psid=found["psid"], attempts=proofs)


def _proof(found: Proof, topic: str | None, category: str) -> dict[str, Any]:
    known, hindsight = _state(found.known, topic), _state(found.hindsight, topic)
    return {
        "at": found.at, "topic": topic, "category": category, "hindsight": hindsight if hindsight != known else None,
        "records": [RecordView(known=row["recorded_at"] <= found.at, **row) for row in found.rows],
        **{name: getattr(known, name) for name in StateView.model_fields},
    }  # fmt: skip


def _survivor(session: Session, contact_id: int) -> str | None:
    survivor = follow(session, [contact_id]).get(contact_id)
    return psid_of(session, survivor) if survivor is not None else None


def _state(state: State, topic: str | None) -> StateView:
    return StateView(
        barred=_bar(state.barred) if state.barred is not None else None,
        bars=[_bar(bar) for bar in state.bars],
        consents=[ConsentView(covers=each.topic in (None, topic), **asdict(each)) for each in state.consents],
    )


def _bar(bar: Bar) -> BarView:
    return BarView(**asdict(bar))


def _findings(found: Sequence[Finding]) -> list[FindingView]:
    return [FindingView.model_validate(asdict(each)) for each in found if each.rule in ("suppression", "consent")]


def _keep(session: Session, actor: str, what: str, contact_id: int, record_id: int, now: int) -> None:
    detail = {"record": record_id}
    record(session, actor=actor, action=f"consent.{what}", subject=f"contact:{contact_id}", detail=detail, now=now)
