"""A request that may come twice is carried out once: its key is claimed in the transaction that does the work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Conflict, Invalid

#: The header's name, and the place that errors name.
HEADER = "Idempotency-Key"
#: Days for which a key is remembered. Clients repeat within minutes.
KEPT_DAYS = 1
LONGEST_KEY = 255
#: Characters of an answer that is kept; a longer one can be read again at its own address.
LONGEST_BODY = 1 << 20

# Whoever comes second waits here until the first has committed or failed.
_CLAIM = text("""
    INSERT INTO api_answer (actor, idempotency_key, fingerprint, created_at) VALUES (:actor, :key, :fingerprint, :now)
    ON CONFLICT (actor, idempotency_key) DO NOTHING
""")
_READ = text("SELECT fingerprint, status, body FROM api_answer WHERE actor = :actor AND idempotency_key = :key")
_KEEP = text("""
    UPDATE api_answer SET status = :status, body = :body
    WHERE actor = :actor AND idempotency_key = :key AND fingerprint = :fingerprint AND status IS NULL
""")
_FORGET = text("""
    UPDATE api_answer SET status = NULL, body = NULL
    WHERE body IS NOT NULL AND EXISTS (
        SELECT 1 FROM unnest(CAST(:names AS text[])) AS given (name) WHERE position(name IN body) > 0)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request with a key. ``fingerprint`` tells it from others that bear the same key."""

    actor: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the request was answered the first time."""

    status: int
    body: str


def check_key(key: str) -> str:
    """``key`` if it can be one. Raises Invalid."""
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid(
            "is not a usable key",
            field=HEADER,
            way_out=f"send 1 to {LONGEST_KEY} printable ASCII characters, a UUID, say",
        )
    return key


def fingerprint(method: str, address: str, body: bytes) -> bytes:
    """What tells one request from another: ``address`` has the query."""
    return hashlib.sha256(f"{method} {address}\n".encode() + body).digest()


def claim(session: Session, request: Request, now: int) -> Answer | None:
    """Claim the request's key in this transaction. None: it is new, carry it out. Else its first answer.

    If the transaction fails the key is free again. Raises Invalid when the key belongs to another request, and
    Conflict when the first answer is not known: it is on its way, or was not kept.
    """
    values = {"actor": request.actor, "key": request.key, "fingerprint": request.fingerprint, "now": now}
    if session.connection().execute(_CLAIM, values).rowcount:
        return None
    known = session.connection().execute(_READ, values).one()
    if known.fingerprint != request.fingerprint:
        raise Invalid(
            "was sent with another request",
            field=HEADER,
            way_out="send a new key with each request that is not a repetition",
        )
    if known.status is None:
        raise Conflict(
            "is being carried out, or was, and its answer was not kept",
            field=HEADER, way_out="read what it changed, or repeat it in a second; it is not carried out again",
        )  # fmt: skip
    return Answer(status=known.status, body=known.body)


def keep_answer(session: Session, request: Request, answer: Answer) -> None:
    """Keep what a request was answered, for when it is sent again. Nothing is kept of one that failed."""
    if len(answer.body) <= LONGEST_BODY:
        session.connection().execute(
            _KEEP,
            {"actor": request.actor, "key": request.key, "fingerprint": request.fingerprint,
             "status": answer.status, "body": answer.body},
        )  # fmt: skip


def forget_answers(session: Session, names: Sequence[str]) -> int:
    """Blank answers that name any of these people; how many. Their requests are still not carried out again."""
    return session.connection().execute(_FORGET, {"names": list(names)}).rowcount if names else 0
