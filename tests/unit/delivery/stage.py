"""A page with people and messages, made through the rooms' own verbs; only messages are put where a test wants them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import load_policy
from scheduler.contacts.inbound import record_inbound
from scheduler.contacts.registry import ensure_contacts
from scheduler.content.templates import save_template
from scheduler.governance.policies import activate_policy
from scheduler.outbox.states import LogRow, append_log
from scheduler.outbox.tables import Attempt, Message
from scheduler.pages.registry import add_page

#: 2026-03-10 12:00:00 UTC, a Tuesday noon.
NOON = 1773144000
HOUR = 3600


class Stage:
    """Everything a test of the outbox needs, in one database. ``commit`` lets other connections see it."""

    def __init__(self, session: Session, *, now: int = NOON, policy: str = "platform-only", rate: int = 39) -> None:
        self.session = session
        self.now = now
        self.pages: list[int] = []
        self.templates: dict[tuple[int, str], int] = {}
        self._psids = 7_000_000_000_000_000
        self.add_page(policy=policy, rate=rate)

    @property
    def page(self) -> int:
        return self.pages[0]

    def add_page(self, *, policy: str = "platform-only", rate: int = 39) -> int:
        number = len(self.pages) + 1
        page = add_page(
            self.session, app_external_id="77", app_secret="a-secret-of-the-stage", verify_token="verify-me",
            external_id=f"100{number}", name=f"Shop {number}", token=f"EAA-token-{number}", mode="live", rate=rate,
            now=self.now,
        )  # fmt: skip
        assert page.id is not None
        if policy != "default":  # which a new page has
            activate_policy(self.session, page.id, load_policy(policy), actor="test", why="test", now=self.now)
        for category in ("promotional", "utility"):
            template = save_template(
                self.session, page.id, name=category, category=category, default_locale="en",
                bodies={"en": {"text": "Hello {{ contact.first_name | default: 'you' }}"}},
                utility_name="order_shipped" if category == "utility" else None, utility_approved=category == "utility",
                actor="test", now=self.now,
            )  # fmt: skip
            assert template.id is not None
            self.templates[page.id, category] = template.id
        self.pages.append(page.id)
        return page.id

    def contact(self, *, inbound: int | None = None, page: int | None = None, zone: str = "Atlantic/Reykjavik") -> int:
        """A person who wrote ``inbound`` (an hour ago, unless told otherwise; 0 is never)."""
        page = page or self.page
        self._psids += 1
        psid = str(self._psids)
        contact_id = ensure_contacts(self.session, page, [psid], self.now)[psid]
        self.session.execute(
            text("UPDATE contact SET timezones = :zones, timezones_source = 'api' WHERE id = :id"),
            {"zones": [zone], "id": contact_id},
        )
        if inbound != 0:
            record_inbound(self.session, contact_id, inbound or self.now - HOUR, self.now)
        return contact_id

    def psid(self, contact_id: int) -> str:
        return str(self.one("SELECT psid FROM contact WHERE id = :id", id=contact_id))

    def message(self, contact_id: int, *, category: str = "promotional", state: str = "due", **values: Any) -> int:
        """A message to that person, due since now unless told otherwise."""
        page = int(self.one("SELECT page_id FROM contact WHERE id = :id", id=contact_id))
        message = Message(
            page_id=page, contact_id=contact_id, template_id=self.templates[page, category],
            lane="utility" if category == "utility" else "promotional", category=category, state=state,
            **{"state_at": self.now, "due_at": self.now, "deadline": self.now + 20 * HOUR, "created_at": self.now}
            | values,
        )  # fmt: skip
        self.session.add(message)
        self.session.flush()
        assert message.id is not None
        append_log(
            self.session,
            [LogRow(message_id=message.id, at=self.now, from_state=None, to_state=state, actor="planner")],
        )
        return message.id

    def messages(self, count: int, **values: Any) -> list[int]:
        """As many messages, each to a person of its own."""
        return [self.message(self.contact(), **values) for _ in range(count)]

    def attempt(self, message_id: int, *, outcome: str = "sending", begun_at: int | None = None) -> int:
        """An attempt of a message, whose state follows."""
        message = self.session.get_one(Message, message_id)
        made = Attempt(
            message_id=message_id, contact_id=message.contact_id, page_id=message.page_id, category=message.category,
            begun_at=self.now if begun_at is None else begun_at, outcome=outcome,
        )  # fmt: skip
        self.session.add(made)
        self.session.flush()
        self.put(message_id, {"not_sent": "due"}.get(outcome, outcome))
        assert made.id is not None
        return made.id

    def arrived(self, message_id: int) -> None:
        """The platform accepted the attempt of a message that is on the wire."""
        self.session.execute(text("UPDATE attempt SET outcome = 'sent' WHERE message_id = :id"), {"id": message_id})
        self.put(message_id, "sent")

    def put(self, message_id: int, state: str) -> None:
        """Set the scene instead of playing it: the message is in that state, by no arrow."""
        self.session.execute(text("SET LOCAL session_replication_role = replica"))
        self.session.execute(
            text("UPDATE message SET state = :state WHERE id = :id"), {"state": state, "id": message_id}
        )
        self.session.execute(text("SET LOCAL session_replication_role = origin"))

    def commit(self) -> None:
        self.session.commit()
        self.session.expire_all()

    def one(self, statement: str, **values: Any) -> Any:
        return self.session.execute(text(statement), values).scalar_one()

    def row(self, statement: str, **values: Any) -> Any:
        return self.session.execute(text(statement), values).one()

    def rows(self, statement: str, **values: Any) -> list[Any]:
        return list(self.session.execute(text(statement), values).all())

    def state(self, message_id: int) -> str:
        return str(self.one("SELECT state FROM message WHERE id = :id", id=message_id))

    def states(self) -> dict[str, int]:
        return {row.state: row.n for row in self.rows("SELECT state, count(*) AS n FROM message GROUP BY state")}

    def arrows(self, message_id: int) -> list[tuple[str | None, str]]:
        rows = self.rows(
            "SELECT from_state, to_state FROM message_log WHERE message_id = :id ORDER BY id", id=message_id
        )
        return [(row.from_state, row.to_state) for row in rows]
