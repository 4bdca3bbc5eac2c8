"""Events come in any order, twice, and cut into requests in any way: what they leave behind is the same."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from scheduler.inbox.arrivals import arrivals
from scheduler.inbox.event import Delivery
from scheduler.inbox.intake import receive_all, split
from scheduler.outbox.metadata import make_metadata
from scheduler.pages.registry import add_page
from scheduler.store import database

NOW = 1_773_144_000
OURS, OTHER_APP, PAGE_INBOX = "900100", "555000", "263902037430900"
PEOPLE = ("7", "8")
#: Whom the page does not know when it begins.
STRANGER = "9"
TOPICS = ("sale", "news", None)
_pages = itertools.count(1)

#: What decisions read, and what evidence there is for it; ids left out, for they are given in the order of arrival.
_LEFT = {
    "contact": "SELECT psid, last_inbound_at, heard_ms, ad_inbound_at, handover_at, handover_by, held_at, timezones, "
    "timezones_source FROM contact WHERE page_id = :page ORDER BY psid",
    "suppression": "SELECT c.psid, s.reason, s.topic, s.since FROM suppression s JOIN contact c ON c.id = s.contact_id "
    "WHERE page_id = :page AND lifted_at IS NULL ORDER BY 1, 2, 3, 4",
    "ledger": "SELECT c.psid, r.action, r.topic, r.source, r.occurred_at FROM consent_record r "
    "JOIN contact c ON c.id = r.contact_id WHERE page_id = :page ORDER BY 1, 5, 2, 3, 4",
    "consent": "SELECT c.psid, r.topic, r.kind, r.granted_at, r.expires_at FROM consent r "
    "JOIN contact c ON c.id = r.contact_id WHERE page_id = :page ORDER BY 1, 2, 3, 4, 5",
    "token": "SELECT c.psid, t.kind, t.topic, t.digest, t.granted_at, t.expires_at, t.stopped_at "
    "FROM permission_token t JOIN contact c ON c.id = t.contact_id WHERE page_id = :page ORDER BY 1, 2, 3, 4",
    "review": "SELECT c.psid, r.meaning, r.phrase, r.said_at FROM consent_review r "
    "JOIN contact c ON c.id = r.contact_id WHERE page_id = :page ORDER BY 1, 2, 3, 4",
    "message": "SELECT c.psid, m.state, m.mid FROM message m JOIN contact c ON c.id = m.contact_id "
    "WHERE m.page_id = :page ORDER BY m.id",
    "page": "SELECT stopped_reason, enforced_ms FROM page WHERE id = :page",
    "template": "SELECT name, utility_approved FROM template WHERE page_id = :page ORDER BY name",
    "raw": "SELECT kind, psid, error, body -> 'message' ->> 'text' FROM platform_event WHERE page_id = :page "
    "ORDER BY 1, 2, 3, 4, dedupe_key",
}


def _optin(topic: str | None, zone: str | None, token: str | None, status: str | None) -> dict[str, Any]:
    said = {
        "type": "notification_messages", "payload": topic, "notification_messages_timezone": zone,
        "notification_messages_token": token, "notification_messages_status": status,
    }  # fmt: skip
    return {"optin": {name: value for name, value in said.items() if value is not None}}


_WORDS = st.sampled_from(["hello", "STOP", "START", "please stop sending me these messages", "stop stop", "HELP"])
#: What happens; ``{n}`` is the event's own number, ``{m}`` that of some event, ``{ours}`` the person's message of ours.
_SAID = st.one_of(
    st.builds(lambda words: {"message": {"mid": "m{n}", "text": words}}, _WORDS),
    st.builds(
        lambda words: {"message": {"mid": "m{n}", "text": words, "referral": {"source": "ADS", "ad_id": "1"}}}, _WORDS
    ),
    st.builds(
        lambda words, payload: {"message": {"mid": "m{n}", "text": words, "quick_reply": {"payload": payload}}},
        _WORDS, st.sampled_from(["RED", "STOP", "START"]),
    ),
    st.builds(
        lambda payload: {"postback": {"mid": "m{n}", "payload": payload}}, st.sampled_from(["GO", "STOP", "START"])
    ),
    st.just({"message": {"mid": "m{m}", "is_deleted": True}}),
    st.just({"message_edit": {"mid": "m{m}", "text": "STOP", "num_edit": 1}}),
    st.just({"message": {"mid": "m{n}", "text": 5}}),
    st.just({"reaction": {"action": "react", "mid": "x{n}"}}),
    st.just({"reaction": {"action": "unreact", "mid": "x{n}"}}),
    st.just({"referral": {"source": "SHORTLINK", "ref": "{n}"}}),
    st.builds(
        _optin, st.sampled_from(TOPICS), st.sampled_from([None, "Asia/Tokyo", "Europe/Paris"]),
        st.sampled_from(["t1", "t2"]), st.none(),
    ),
    st.builds(
        _optin, st.sampled_from(TOPICS), st.none(), st.none(),
        st.sampled_from(["STOP NOTIFICATIONS", "RESUME NOTIFICATIONS"]),
    ),
    st.just({"optin": {"type": "one_time_notif_req", "payload": "restock", "one_time_notif_token": "o{m}"}}),
    st.just({"echo": {"mid": "e{n}", "is_echo": True, "app_id": PAGE_INBOX, "text": "I am here"}}),
    st.just({"echo": {"mid": "e{n}", "is_echo": True, "app_id": OTHER_APP, "text": "a robot"}}),
    st.just({"echo": {"mid": "e{n}", "is_echo": True, "text": "by hand"}}),
    st.just({"echo": {"mid": "ours{psid}", "is_echo": True, "app_id": OURS, "metadata": "{ours}"}}),
    st.just({"delivery": {"mids": ["ours{psid}"], "watermark": (NOW + 1) * 1000}}),
    st.just({"delivery": {"watermark": (NOW + 1) * 1000}}),
    st.just({"read": {"watermark": (NOW + 1) * 1000}}),
    st.just({"take_thread_control": {"previous_owner_app_id": OURS}}),
    st.builds(
        lambda owner: {"pass_thread_control": {"new_owner_app_id": owner}}, st.sampled_from([OURS, OTHER_APP])
    ),
    st.builds(
        lambda action: {"policy_enforcement": {"action": action}}, st.sampled_from(["block", "unblock", "warning"])
    ),
    st.builds(
        lambda event, language: {
            "template": {
                "message_template_name": "shipped", "message_template_language": language, "event": event,
            }
        },
        st.sampled_from(["APPROVED", "REJECTED", "PENDING"]), st.sampled_from(["en", "de"]),
    ),
)  # fmt: skip

_HAPPENED = st.lists(
    st.tuples(
        _SAID,
        st.sampled_from((*PEOPLE, STRANGER)),
        # Few instants, so that many fall together.
        st.builds(lambda second, part: (NOW - 10 + second) * 1000 + part, st.integers(0, 4), st.sampled_from([0, 500])),
        st.booleans(),
        st.integers(0, 7),
    ),
    min_size=2,
    max_size=8,
)


@st.composite
def _arrivals(draw: Any) -> tuple[list[Any], list[list[list[int]]]]:
    """What happened, and another way in which it arrives: transactions of bodies of events."""
    happened = draw(_HAPPENED)
    numbers = list(range(len(happened)))
    order = draw(st.permutations(numbers + draw(st.lists(st.sampled_from(numbers), max_size=4))))
    bodies = _cut(order, draw(st.lists(st.integers(1, len(order)), max_size=5)))
    return happened, _cut(bodies, draw(st.lists(st.integers(1, len(bodies)), max_size=3)))


def _cut(items: Sequence[Any], places: Sequence[int]) -> list[list[Any]]:
    edges = sorted({0, *places, len(items)})
    return [list(items[start:end]) for start, end in itertools.pairwise(edges)]


def _filled(said: Any, names: dict[str, str]) -> Any:
    if isinstance(said, str):
        return said.format(**names) if "{" in said else said
    if isinstance(said, dict):
        return {key: _filled(value, names) for key, value in said.items()}
    if isinstance(said, list):
        return [_filled(each, names) for each in said]
    return said


def _entry(page: str, ours: dict[str, str], number: int, one: Any) -> dict[str, Any]:
    said, psid, ms, standby, other = one
    said = _filled(said, {"n": str(number), "m": str(other), "ours": ours[psid], "psid": psid})
    if "template" in said:
        change = {"field": "message_template_status_update", "value": said["template"]}
        return {"id": page, "time": ms, "changes": [change]}
    event: dict[str, Any] = {"sender": {"id": psid}, "recipient": {"id": page}, "timestamp": ms}
    if "echo" in said:
        event = {"sender": {"id": page}, "recipient": {"id": psid}, "timestamp": ms, "message": said["echo"]}
    elif "policy_enforcement" in said:
        event = {"recipient": {"id": page}, "timestamp": ms, **said}
    else:
        event |= said
    return {"id": page, "time": ms, ("standby" if standby else "messaging"): [event]}


class _Shop:
    """A page of its own, with people to whom something was sent and for whom something waits."""

    def __init__(self) -> None:
        self.external_id = str(70_000 + next(_pages))
        self.ours: dict[str, str] = {STRANGER: "nothing of ours"}
        with database.session() as session:
            page = add_page(
                session, app_external_id=OURS, app_secret="5ea1" * 4, verify_token="verify-me",
                external_id=self.external_id, name="Shop", token="EAAtoken", mode="live", rate=30, now=NOW - 100,
            )  # fmt: skip
            assert page.id is not None
            self.id, self.app_id = page.id, page.app_id
            values = {"page": self.id, "at": NOW - 50}
            template = session.execute(
                text(
                    "INSERT INTO template (page_id, name, version, category, default_locale, bodies, utility_name, "
                    "utility_approved, created_at) VALUES (:page, 't', 1, 'utility', 'en', '{}', 'shipped', true, :at) "
                    "RETURNING id"
                ),
                values,
            ).scalar_one()
            for psid in PEOPLE:
                self.ours[psid] = self._sent_and_waiting(session, psid, {**values, "template": template, "psid": psid})

    def _sent_and_waiting(self, session: Session, psid: str, values: dict[str, Any]) -> str:
        values["contact"] = session.execute(
            text("INSERT INTO contact (page_id, psid, created_at) VALUES (:page, :psid, :at) RETURNING id"), values
        ).scalar_one()
        ids = []
        for state in ("sending", "scheduled"):
            made = session.execute(
                text(
                    "INSERT INTO message (page_id, contact_id, template_id, lane, category, state, state_at, attempts, "
                    "crashes, created_at) VALUES (:page, :contact, :template, 'promotional', 'promotional', :state, "
                    ":at, 1, 0, :at) RETURNING id"
                ),
                {**values, "state": state},
            )
            ids.append(made.scalar_one())
        attempt = session.execute(
            text(
                "INSERT INTO attempt (message_id, contact_id, page_id, category, begun_at, outcome) "
                "VALUES (:message, :contact, :page, 'promotional', :at, 'sending') RETURNING id"
            ),
            {**values, "message": ids[0]},
        ).scalar_one()
        return make_metadata(ids[0], attempt)

    def hear(self, happened: list[Any], transactions: list[list[list[int]]]) -> None:
        """Receive it so cut, each transaction as the web process does it."""
        for bodies in transactions:
            deliveries = []
            for body in bodies:
                entries = [_entry(self.external_id, self.ours, number, happened[number]) for number in body]
                wire = json.dumps({"object": "page", "entry": entries})
                deliveries.append(Delivery(app_id=self.app_id, found=arrivals(json.loads(wire))))
            try:
                self._receive(deliveries, careful=False)
            except Exception:  # an event that cannot be applied, say: each is received by itself
                for delivery in deliveries:
                    self._receive([delivery], careful=True)

    def _receive(self, deliveries: list[Delivery], *, careful: bool) -> None:
        for part in split(deliveries):
            with database.session() as session:
                receive_all(session, part, NOW, careful=careful)

    def left(self, session: Session) -> dict[str, list[Any]]:
        found = {}
        for name, query in _LEFT.items():
            rows = session.execute(text(query), {"page": self.id})
            found[name] = [tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row) for row in rows]
        return found


#: A few with every run; with ``HYPOTHESIS_PROFILE=search`` as many as there is patience for.
_EXAMPLES = 40 if settings.default.max_examples <= 100 else 600


@pytest.mark.timeout(3600 if _EXAMPLES > 40 else 300)
@given(_arrivals())
@settings(
    max_examples=_EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_order_any_copies_any_requests_leave_the_same(
    session: Session, arrived: tuple[list[Any], list[list[list[int]]]]
) -> None:
    happened, transactions = arrived
    one, other = _Shop(), _Shop()
    one.hear(happened, [[[number]] for number in range(len(happened))])
    other.hear(happened, transactions)
    expected = one.left(session)
    seen = other.left(session)
    session.rollback()
    for name, rows in expected.items():
        assert seen[name] == rows, name
