"""Somebody of whom much is known, and a look for what is left of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.consent.choices import record_opt_out
from scheduler.consent.grants import Grant, record_grants
from scheduler.consent.tokens import grant_token
from scheduler.contacts.evidence import Evidence, record_evidence
from scheduler.contacts.identities import Link, link
from scheduler.contacts.registry import ensure_contacts
from scheduler.content.templates import save_template
from scheduler.followups.events import receive_event
from scheduler.outbox.tables import Attempt, DeadLetterAct, Message, MessageLog
from scheduler.pages.changes import allow
from scheduler.pages.registry import get_page
from scheduler.store import database

PSID = "27182818284590452"
#: What nobody else has: where one of these is found, something of them is left.
CANARIES = (PSID, "Wilhelmina", "Quittenbaum", "zitronengelb", "+4930901820", "TOKEN-canary", "Tromsoe", "CRM-Q-7")


def somebody(page: Any, deliver: Any, say: Any) -> int:
    """Somebody of whom much is known, with a message that waits, one on the wire, one that arrived; their contact."""
    now = clock.now()
    deliver(say(PSID, "zitronengelb, please", at=now - 30))
    with database.session() as session:
        one = ensure_contacts(session, page.id, [PSID], now)[PSID]
        session.execute(
            text("UPDATE contact SET name = 'Wilhelmina Quittenbaum', first_name = 'Wilhelmina', "
                 "attributes = '{\"town\": \"Tromsoe\"}' WHERE id = :id"), {"id": one}
        )  # fmt: skip
        record_evidence(
            session, [Evidence(contact_id=one, kind="country", value="NO", source="api", observed_at=now)], now
        )
        link(session, page.id, [
            Link(contact_id=one, kind="phone", value="+4930901820"),
            Link(contact_id=one, kind="crm_id", value="CRM-Q-7"),
        ], now)  # fmt: skip
        receive_event(
            session, get_page(session, page.external_id), kind="order.placed", key="order of Quittenbaum",
            data={"order": "Quittenbaum-1", "crm_id": "CRM-Q-7"}, actor="shop", now=now,
        )  # fmt: skip
        record_grants(session, [
            Grant(contact_id=one, kind="express", source="api", wording="We may write.", granted_at=now - 5),
        ], now)  # fmt: skip
        record_opt_out(session, one, topic="sales", source="api", at=now - 4, now=now - 4)
        grant_token(
            session, one, kind="marketing", token="TOKEN-canary", topic=None, expires_at=None, event_id=None,
            at=now, now=now,
        )  # fmt: skip
        template = save_template(
            session, page.id, name="promo", category="promotional", default_locale="en",
            bodies={"en": {"text": "Hi"}}, actor="tests", now=now,
        )  # fmt: skip
        allow(session, get_page(session, page.external_id), [PSID], actor="tests", now=now)
        for state, outcome in (("scheduled", None), ("sending", "sending"), ("sent", "sent")):
            message = Message(
                page_id=page.id, contact_id=one, template_id=template.id, lane="promotional", category="promotional",
                state=state, state_at=now, created_at=now, variables={"name": "Wilhelmina"},
                mid="m_sent" if state == "sent" else None, attempts=int(outcome is not None),
            )  # fmt: skip
            session.add(message)
            session.flush()
            session.add(
                MessageLog(message_id=message.id, at=now, to_state=state, actor="planner", facts={"region": "Tromsoe"})
            )
            if outcome is not None:
                session.add(
                    Attempt(
                        message_id=message.id, contact_id=one, page_id=page.id, category="promotional", begun_at=now,
                        outcome=outcome, mid=message.mid,
                    )
                )  # fmt: skip
            session.add(
                DeadLetterAct(
                    message_id=message.id, act="discard", was="dead", why="Wilhelmina called", actor="x", at=now
                )
            )
    return one


def whole_database() -> str:
    """Every row of every table as text."""
    with Session(database.engine()) as session:
        tables = session.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).scalars()
        found = [session.execute(text(f'SELECT t::text FROM "{table}" t')).scalars().all() for table in tables.all()]
    return "\n".join(str(each) for rows in found for each in rows)


def traces() -> list[str]:
    """What of them is found anywhere in the database."""
    found = whole_database()
    return [canary for canary in CANARIES if canary in found]


def bars_of(contact_id: int) -> set[tuple[str, str | None]]:
    """Reason and topic of each suppression in force."""
    return {tuple(each) for each in rows_of(
        f"SELECT reason, topic FROM suppression WHERE lifted_at IS NULL AND contact_id = {contact_id}"
    )}  # fmt: skip


def rows_of(query: str) -> list[Any]:
    """The rows of a query in a transaction of its own."""
    with Session(database.engine()) as session:
        return list(session.execute(text(query)))
