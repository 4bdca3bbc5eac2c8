"""Tokens on a stage: granted, held, known to decisions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from policies.facts import Facts
from scheduler.consent import tokens
from scheduler.facts.decisions import contact_facts
from scheduler.pages import changes
from scheduler.pages.tables import Page
from tests.unit.delivery.stage import HOUR, NOON, Stage

DAY = 24 * HOUR


def grant(stage: Stage, contact: int, token: str = "tok", **values: Any) -> None:
    """Somebody grants a token, a day ago if nothing else is said."""
    given = {"kind": "notification_messages", "topic": None, "expires_at": None, "event_id": 7, "at": NOON - DAY}
    tokens.grant_token(stage.session, contact, token=token, now=NOON, **(given | values))


def held(stage: Stage, contact: int) -> list[tuple[str, str]]:
    """Kind and text of the tokens in force."""
    return [(each.kind, each.clear()) for each in tokens.tokens_in_force(stage.session, [contact]).get(contact, [])]


def state_of(stage: Stage, contact: int) -> list[tuple[Any, ...]]:
    """Kind, topic, since, until and stopped at, of each token."""
    found = stage.rows(
        "SELECT kind, topic, granted_at, expires_at, stopped_at FROM permission_token WHERE contact_id = :id "
        "ORDER BY kind, topic, digest",
        id=contact,
    )
    return [tuple(row) for row in found]


def facts_of(stage: Stage, contact: int) -> Facts:
    """What a decision knows of them."""
    stage.session.flush()
    return contact_facts(stage.session, [contact], NOON)[contact]


def german(stage: Stage, **values: Any) -> int:
    """Somebody where the free notifications still reach, who has not written for long."""
    contact = stage.contact(inbound=NOON - 10 * DAY, **values)
    stage.session.execute(text("UPDATE contact SET country = 'DE' WHERE id = :id"), {"id": contact})
    return contact


def pay(stage: Stage) -> None:
    """The page has what paid messages go through."""
    page = stage.session.get_one(Page, stage.page)
    changes.set_marketing(stage.session, page, "42", "43", actor="test", now=NOON)
