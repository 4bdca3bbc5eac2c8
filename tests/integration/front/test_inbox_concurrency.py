"""Eight writers about the same fifty people, all at once, on a real server: nobody waits for ever, nothing is lost."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from scheduler import clock
from scheduler.inbox.arrivals import arrivals
from scheduler.inbox.event import Delivery
from scheduler.inbox.intake import receive_all, split
from scheduler.store import database

WRITERS, PEOPLE, BODIES = 8, 50, 15


def _bodies(page: str, seed: int, base_ms: int) -> list[list[dict[str, Any]]]:
    """A writer's events: each its own and, of two writers, the same ones too."""
    own, bodies = random.Random(seed), []
    for number in range(BODIES):
        body = []
        for place in range(12):
            shared = own.random() < 0.3
            name = f"{seed // 2 if shared else 10 + seed}.{number}.{place}"
            # What two writers tell is the very same.
            rng = random.Random(name)
            at = base_ms + rng.randrange(60_000)
            words = rng.choice(("hello", "hello", "hello", "STOP", "START"))
            said: dict[str, Any] = {"message": {"mid": f"m{name}", "text": words}}
            if not shared:
                optin = {"type": "notification_messages", "payload": "sale", "notification_messages_token": "t"}
                said = rng.choice(
                    (
                        said,
                        {"optin": optin},
                        {"read": {"watermark": at}},
                        {"take_thread_control": {"previous_owner_app_id": "900100"}},
                        {"message": {"mid": f"m{10 + seed}.{number}.{rng.randrange(12)}", "is_deleted": True}},
                    )
                )
            psid = str(rng.randrange(PEOPLE))
            body.append({"sender": {"id": psid}, "recipient": {"id": page}, "timestamp": at, **said})
        own.shuffle(body)
        bodies.append(body)
    return bodies


@pytest.mark.timeout(240)
def test_eight_writers_about_fifty_people(page: Any, row: Any) -> None:
    now = clock.now()
    work = [_bodies(page.external_id, seed, (now - 3600) * 1000) for seed in range(WRITERS)]
    gate = threading.Barrier(WRITERS)
    trouble: list[str] = []

    def write(bodies: list[list[dict[str, Any]]]) -> None:
        gate.wait()
        for body in bodies:
            found = arrivals({"object": "page", "entry": [{"id": page.external_id, "messaging": body}]})
            for part in split([Delivery(app_id=page.app_id, found=found)]):
                try:
                    with database.session() as session:
                        receive_all(session, part, now)
                except Exception as error:  # a deadlock, say: the platform would deliver again, and we would see it
                    trouble.append(f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, work))
    assert trouble == []

    said = [event for bodies in work for body in bodies for event in body]
    newest: dict[str, int] = {}
    for event in said:
        if "text" in event.get("message", {}):
            newest[event["sender"]["id"]] = max(newest.get(event["sender"]["id"], 0), event["timestamp"] // 1000)
    with Session(database.engine()) as session:
        kept = session.execute(text("SELECT psid, last_inbound_at FROM contact WHERE last_inbound_at IS NOT NULL"))
        assert {each.psid: each.last_inbound_at for each in kept} == newest
        # What is in force is what the ledger of all that was said comes to.
        choices = session.execute(
            text(
                "SELECT c.psid, r.action, r.occurred_at FROM consent_record r JOIN contact c ON c.id = r.contact_id "
                "WHERE r.topic IS NULL AND r.action IN ('opt_out', 'opt_in')"
            )
        ).all()
        out: set[str] = set()
        for psid in {each.psid for each in choices}:
            last = max(each.occurred_at for each in choices if each.psid == psid)
            if "opt_out" in {each.action for each in choices if each.psid == psid and each.occurred_at == last}:
                out.add(psid)
        in_force = session.execute(
            text(
                "SELECT DISTINCT c.psid FROM suppression s JOIN contact c ON c.id = s.contact_id "
                "WHERE s.reason = 'opted_out' AND s.topic IS NULL AND s.lifted_at IS NULL"
            )
        )
        assert set(in_force.scalars()) == out
    mids = {event["message"]["mid"] for event in said if "text" in event.get("message", {})}
    assert row("SELECT count(*) FROM platform_event WHERE kind = 'message'")[0] == len(mids)
    assert row("SELECT count(*) FROM platform_event WHERE applied_at IS NULL")[0] == 0
    gone = {event["message"]["mid"] for event in said if event.get("message", {}).get("is_deleted")}
    assert row(
        "SELECT count(*) FROM platform_event WHERE kind = 'message' AND body -> 'message' ? 'text' "
        "AND body -> 'message' ->> 'mid' = ANY(:gone)", gone=sorted(gone),
    )[0] == 0  # fmt: skip


def test_one_body_that_cannot_be_stored_takes_nobody_elses_with_it(
    page: Any, deliver: Any, say: Any, row: Any, contact: Any
) -> None:
    # A kind of event that the database refuses as a whole: alone it fails, the others of its group do not.
    with Session(database.engine()) as session:
        session.execute(text("ALTER TABLE platform_event ADD CONSTRAINT no_cursed CHECK (psid <> 'cursed')"))
        session.commit()
    people = [str(number) for number in range(30)]
    people[7] = people[19] = "cursed"
    gate = threading.Barrier(len(people))

    def send(psid: str) -> int:
        gate.wait()
        return int(deliver(say(psid)).status_code)

    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(zip(people, pool.map(send, people), strict=True))
    assert [status for psid, status in answers if psid != "cursed"] == [200] * 28
    assert all(status >= 400 for psid, status in answers if psid == "cursed")
    assert row("SELECT count(*) FROM platform_event")[0] == 28
