from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.contacts.evidence import set_offset, state_zone
from scheduler.contacts.holds import hold_contact, release_contact
from scheduler.contacts.inbound import record_inbounds
from scheduler.contacts.profiles import due_profile_reads, profile_read_done, want_profile
from scheduler.contacts.records import upsert_contact
from scheduler.contacts.registry import ensure_contacts, get_contact
from scheduler.errors import Unavailable
from scheduler.pages.check import check_page
from scheduler.pages.stops import restore_page, stop_page
from scheduler.store import database

NOW = 1_800_000_000


def test_contacts_are_made_once_however_many_make_them(page: Any, session: Session, row: Any) -> None:
    psids = [str(number) for number in range(40)]

    def make(order: int) -> dict[str, int]:
        with database.session() as other:
            return ensure_contacts(other, page.id, psids if order % 2 else reversed(psids), NOW)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(make, range(4)))
    assert all(each == found[0] for each in found)
    assert len(found[0]) == 40
    assert row("SELECT count(*) FROM contact")[0] == 40


def test_profiles_are_wanted_of_those_whose_zone_nothing_tells(page: Any, session: Session) -> None:
    ids = ensure_contacts(session, page.id, ["none", "zone", "offset", "country"], NOW)
    state_zone(session, ids["zone"], ["Asia/Tokyo"], source="api", now=NOW)
    set_offset(session, ids["offset"], 330, NOW)
    upsert_contact(session, page.id, "country", changes={"country": "US"}, now=NOW)
    want_profile(session, list(ids.values()), NOW)
    want_profile(session, list(ids.values()), NOW + 5)
    due = due_profile_reads(session, NOW, 10)
    assert {read.psid for read in due} == {"none", "country"}


def test_a_claimed_read_is_not_offered_again_until_its_lease_ends(page: Any, session: Session) -> None:
    ids = ensure_contacts(session, page.id, ["1", "2", "3"], NOW)
    want_profile(session, list(ids.values()), NOW)
    session.commit()
    first = due_profile_reads(session, NOW, 2)
    with Session(database.engine()) as other:
        # Before the commit they are locked and skipped, after it they are leased.
        second = due_profile_reads(other, NOW, 10)
        session.commit()
        assert due_profile_reads(other, NOW + 59, 10) == []
        other.commit()
    assert {read.psid for read in first} | {read.psid for read in second} == {"1", "2", "3"}
    assert len(first) == 2
    assert [read.attempts for read in due_profile_reads(session, NOW + 61, 10)] == [2, 2, 2]


def test_a_stopped_page_reads_no_profiles(page: Any, session: Session) -> None:
    want_profile(session, list(ensure_contacts(session, page.id, ["1"], NOW).values()), NOW)
    assert stop_page(session, page.id, "bad_token", NOW)
    assert not stop_page(session, page.id, "bad_token", NOW)
    assert due_profile_reads(session, NOW, 10) == []
    assert restore_page(session, page.id, now=NOW)
    assert not restore_page(session, page.id, now=NOW)
    assert len(due_profile_reads(session, NOW, 10)) == 1


@pytest.mark.parametrize(
    ("timezone", "minutes"),
    [
        (-7, -420),  # as documented
        (5.5, 330),  # fractional
        ("5.75", 345),  # a string
        (0, 0),  # Greenwich is no missing value
        (25, None),  # nowhere on Earth
        ("PST", None),  # a name
        (True, None),  # not a number
        (None, None),  # left out
    ],
)
def test_a_profile_gives_the_offset_and_fills_what_was_empty(
    page: Any, session: Session, timezone: object, minutes: int | None
) -> None:
    upsert_contact(session, page.id, "1", changes={"first_name": "Ana"}, now=NOW)
    contact_id = ensure_contacts(session, page.id, ["1"], NOW)["1"]
    want_profile(session, [contact_id], NOW)
    (read,) = due_profile_reads(session, NOW, 1)
    profile = {"id": "1", "timezone": timezone, "locale": "en_GB", "first_name": "Anna", "name": "Anna\x00 B"}
    profile_read_done(session, read.contact_id, profile, "read", NOW + 1)
    contact = get_contact(session, page.id, "1")
    assert (contact.utc_offset, contact.locale, contact.first_name, contact.name) == (minutes, "en_GB", "Ana", "Anna B")
    assert due_profile_reads(session, NOW + 10_000, 1) == []


def test_a_read_that_fails_is_tried_again_with_growing_pauses_then_given_up(
    page: Any, session: Session, row: Any
) -> None:
    contact_id = ensure_contacts(session, page.id, ["1"], NOW)["1"]
    want_profile(session, [contact_id], NOW)
    at, pauses = NOW, []
    for _ in range(8):
        while not due_profile_reads(session, at, 1):
            at += 1
        profile_read_done(session, contact_id, None, "retry", at)
        session.commit()
        due, done = row("SELECT due_at, done_at FROM profile_read")
        if done is None:
            pauses.append(due - at)
    assert pauses == [5, 10, 20, 40, 80, 160, 320]
    assert row("SELECT outcome, done_at IS NOT NULL FROM profile_read") == ("given_up", True)


def test_a_profile_that_is_refused_is_not_asked_for_again(page: Any, session: Session) -> None:
    contact_id = ensure_contacts(session, page.id, ["1"], NOW)["1"]
    want_profile(session, [contact_id], NOW)
    due_profile_reads(session, NOW, 1)
    profile_read_done(session, contact_id, None, "unavailable", NOW)
    want_profile(session, [contact_id], NOW + 10)
    assert due_profile_reads(session, NOW + 100_000, 1) == []


def test_a_hold_begins_once_and_ends_by_a_person(page: Any, session: Session) -> None:
    contact_id = ensure_contacts(session, page.id, ["1"], NOW)["1"]
    hold_contact(session, contact_id, NOW)
    hold_contact(session, contact_id, NOW + 9)
    assert get_contact(session, page.id, "1").held_at == NOW
    record_inbounds(session, {contact_id: NOW + 10}, NOW + 10)
    assert get_contact(session, page.id, "1").held_at == NOW
    assert release_contact(session, contact_id, NOW + 20)
    assert not release_contact(session, contact_id, NOW + 21)
    assert get_contact(session, page.id, "1").held_at is None


def test_a_zone_that_is_no_news_is_no_news(page: Any, session: Session) -> None:
    contact_id = ensure_contacts(session, page.id, ["1"], NOW)["1"]
    assert state_zone(session, contact_id, ["Asia/Tokyo"], source="optin", now=NOW)
    assert not state_zone(session, contact_id, ["Asia/Tokyo"], source="optin", now=NOW)
    assert state_zone(session, contact_id, ["Asia/Tokyo", "Asia/Seoul"], source="api", now=NOW)
    assert state_zone(session, contact_id, [], source="api", now=NOW)
    assert get_contact(session, page.id, "1").timezones is None
    assert set_offset(session, contact_id, 540, NOW)
    assert not set_offset(session, contact_id, 540, NOW + 5)


class _Graph(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, object]]

    def do_GET(self) -> None:
        token = self.headers["Authorization"].removeprefix("Bearer ")
        assert "access_token" not in self.path
        assert f"appsecret_proof={hmac.new(b'secret', token.encode(), 'sha256').hexdigest()}" in self.path
        status, body = self.answers[token]
        content = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def graph() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Graph)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lambda answers: (setattr(_Graph, "answers", answers), f"http://127.0.0.1:{server.server_port}")[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_check_tells_what_is_wrong_with_a_token(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever proxy the shell has, it gets no token.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    proof = {"error": {"message": "Invalid appsecret_proof provided in the API argument", "code": 100}}
    bad = {"error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}}
    url = graph(
        {
            "good": (200, {"id": "555", "name": "Nord"}),
            "expired": (400, bad),
            "odd": (200, bad),
            "unproven": (400, proof),
            "other": (200, {"id": "556", "name": "Süd"}),
            "down": (503, {}),
            "html": (200, b"<html>"),
        }
    )
    good = check_page(url, "v26.0", "555", "good", b"secret")
    assert (good.ok, good.name) == (True, "Nord")
    for token in ("expired", "odd"):
        found = check_page(url, "v26.0", "555", token, b"secret")
        assert (found.ok, found.code, found.words) == (False, 190, "the token is bad or has expired")
    assert not check_page(url, "v26.0", "555", "other", b"secret").ok
    unproven = check_page(url, "v26.0", "555", "unproven", b"secret")
    assert (unproven.ok, unproven.code, "app's secret" in unproven.words) == (False, 100, True)
    for token in ("down", "html"):
        with pytest.raises(Unavailable):
            check_page(url, "v26.0", "555", token, b"secret")
    with pytest.raises(Unavailable):
        check_page("http://127.0.0.1:1", "v26.0", "555", "good", b"secret")
