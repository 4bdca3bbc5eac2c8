"""The alternative's Celery app, tables and its one task.

celery -A benchmarks.obvious.app worker
Environment: OBVIOUS_BROKER, OBVIOUS_DATABASE, OBVIOUS_GRAPH, OBVIOUS_TOKENS (JSON: page id → token).
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import requests
from celery import Celery
from celery.signals import worker_process_init
from requests.adapters import HTTPAdapter
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

app = Celery("obvious", broker=os.environ.get("OBVIOUS_BROKER"))
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    # As long as a task may take here. Celery's default is an hour: in this run a killed worker's messages would then
    # still be waiting when it is judged.
    broker_transport_options={"visibility_timeout": int(os.environ.get("OBVIOUS_VISIBILITY", "3600"))},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)

_engine = create_engine(
    os.environ.get("OBVIOUS_DATABASE", "postgresql+psycopg://"), pool_size=20, max_overflow=60, pool_pre_ping=True
)
_http = requests.Session()
_http.trust_env = False
_http.mount("http://", HTTPAdapter(pool_maxsize=128))
_tokens: dict[str, str] = json.loads(os.environ.get("OBVIOUS_TOKENS", "{}"))
#: "start,rate,origin" of the virtual clock that sandbox and witness have; empty: the machine's.
_clock = os.environ.get("OBVIOUS_CLOCK", "")


def now() -> float:
    """The present instant, epoch seconds."""
    unix = datetime.now(UTC).timestamp()  # noqa: TID251 - a program of its own
    if not _clock:
        return unix
    start, rate, origin = map(float, _clock.split(","))
    return start + (unix - origin) * rate


class Base(DeclarativeBase):
    """Tables of the alternative."""


class Person(Base):
    """Somebody who may be written to."""

    __tablename__ = "obvious_person"
    psid: Mapped[str] = mapped_column(primary_key=True)
    page_id: Mapped[str]
    zone: Mapped[str]
    last_inbound: Mapped[float]
    opted_out: Mapped[bool] = mapped_column(default=False)


class Message(Base):
    """One message to one person."""

    __tablename__ = "obvious_message"
    id: Mapped[int] = mapped_column(primary_key=True)
    psid: Mapped[str]
    text: Mapped[str]
    status: Mapped[str] = mapped_column(default="scheduled")
    reason: Mapped[str | None]
    mid: Mapped[str | None]


@worker_process_init.connect
def _after_fork(**_: object) -> None:
    _engine.dispose(close=False)


class TryAgain(Exception):
    """The platform asks to come back later, or broke down."""


@app.task(
    name="obvious.send",
    bind=True,
    acks_late=True,
    reject_on_worker_lost=True,
    autoretry_for=(requests.RequestException, TryAgain),
    retry_backoff=True,
    retry_jitter=True,
    max_retries=5,
)
def send(self: object, message_id: int) -> None:
    """Send one message, unless it was sent, or may not be sent any more."""
    del self
    with Session(_engine) as session:
        message = session.get(Message, message_id)
        if message is None or message.status != "scheduled":
            return
        person = session.get_one(Person, message.psid)
        refusal = _why_not(person)
        if refusal is not None:
            message.status, message.reason = "denied", refusal
            session.commit()
            return
        answer = _http.post(
            f"{os.environ['OBVIOUS_GRAPH']}/v26.0/{person.page_id}/messages",
            json={
                "recipient": {"id": person.psid},
                "messaging_type": "UPDATE",
                "message": {"text": message.text, "metadata": f"{message.id}.0.obvious"},
            },
            headers={"Authorization": f"Bearer {_tokens.get(person.page_id, 'EAA-token')}"},
            timeout=(3, 10),
        )
        body = answer.json()
        code = body.get("error", {}).get("code")
        if answer.status_code >= 500 or answer.status_code == 429 or code in (1, 2, 4, 613, 1200, 80006):
            raise TryAgain(f"{answer.status_code} {code}")
        message.status = "sent" if "message_id" in body else "refused"
        message.mid, message.reason = body.get("message_id"), None if code is None else str(code)
        session.commit()


def _why_not(person: Person) -> str | None:
    present = now()
    if person.opted_out:
        return "opted_out"
    if present >= person.last_inbound + 24 * 3600 - 300:
        return "window_closed"
    local = datetime.fromtimestamp(present, UTC).astimezone(ZoneInfo(person.zone))
    return None if 8 <= local.hour < 21 else "quiet_hours"


def schedule(message_ids: list[int], *, after: float = 0.0, over: float = 0.0) -> None:
    """Enqueue a task a message, its ``eta`` spread evenly over real seconds."""
    begin = datetime.now(UTC) + timedelta(seconds=after)  # noqa: TID251 - as above
    with app.producer_pool.acquire(block=True) as producer:
        for place, message_id in enumerate(message_ids):
            eta = begin + timedelta(seconds=over * place / max(1, len(message_ids)))
            send.apply_async((message_id,), eta=eta, producer=producer)


def make_tables() -> None:
    """Make them, empty."""
    Base.metadata.drop_all(_engine)
    Base.metadata.create_all(_engine)
