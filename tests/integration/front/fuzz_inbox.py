"""Random webhook bodies, near to real ones: ``python -m tests.integration.front.fuzz_inbox --minutes 30 [--seed N]``.

A real event of each shape is taken and something about it is changed: a value for one of another type, an absurd
number, odd characters, a part left out, doubled, nested deeper; or the bytes themselves are.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import hmac
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session
from starlette.testclient import TestClient

SECRET = "0123456789abcdef0123456789abcdef"
_NOW_MS = 1_773_144_000_000

_SAID: tuple[dict[str, Any], ...] = (
    {"message": {"mid": "m", "text": "hello", "quick_reply": {"payload": "STOP"}, "reply_to": {"mid": "x"}}},
    {"message": {"mid": "m", "text": "STOP", "referral": {"source": "ADS"}, "commands": [{"name": "stop"}]}},
    {"message": {"mid": "m", "attachments": [{"type": "appointment_booking", "payload": {"timezone": "Asia/Tokyo"}}]}},
    {"message": {"mid": "m", "is_deleted": True}},
    {"message": {"mid": "m", "is_echo": True, "app_id": 263902037430900, "metadata": "1.2.abc"}},
    {"message_edit": {"mid": "m", "text": "STOP", "num_edit": 2}},
    {"postback": {"mid": "m", "title": "x", "payload": "NOTIFY_ME:mug", "referral": {"source": "SHORTLINK"}}},
    {"optin": {"type": "notification_messages", "payload": "sale", "title": "Sale", "token_expiry_timestamp": _NOW_MS,
               "notification_messages_token": "t", "notification_messages_timezone": "Europe/Paris"}},
    {"optin": {"type": "notification_messages", "payload": "sale",
               "notification_messages_status": "STOP NOTIFICATIONS"}},
    {"optin": {"type": "one_time_notif_req", "payload": "restock", "one_time_notif_token": "o"}},
    {"optin": {"ref": "cart", "user_ref": "abc"}},
    {"delivery": {"mids": ["m", "n"], "watermark": _NOW_MS}},
    {"read": {"watermark": str(_NOW_MS)}},
    {"reaction": {"reaction": "love", "emoji": "❤", "action": "react", "mid": "m"}},
    {"referral": {"ref": "x", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
    {"account_linking": {"status": "linked", "authorization_code": "c"}},
    {"response_feedback": {"feedback": "Good response", "mid": "m"}},
    {"policy_enforcement": {"action": "warning", "reason": "r"}},
    {"pass_thread_control": {"new_owner_app_id": 1, "metadata": "x"}},
    {"take_thread_control": {"previous_owner_app_id": 1}},
    {"app_roles": {"1": ["primary_receiver"]}},
)  # fmt: skip
_CHANGES: tuple[dict[str, Any], ...] = (
    {"field": "message_template_status_update",
     "value": {"event": "REJECTED", "message_template_name": "t", "message_template_language": "en", "reason": "NONE"}},
    {"field": "business_integrity", "value": {"status": "x"}},
    {"field": "feed", "value": {"item": "comment"}},
)  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 0.5, -0.0, 1e308, "", " ", "STOP", "0",
    "-1", "\x00", "a\x00b", "\ud800", "\udfff x", "\U0001f600", "é", "İSTOP", "x" * 5000, "%s", "{}", "'; --", "1e999",
    [], {}, [[]], [None], {"id": None}, {"": ""}, {"id": {"id": "7"}}, ["STOP"], "NOTIFY_ME:", "NOTIFY_ME:\x00",
    "opt_out", "9" * 200, "Mars/Olympus", "../../etc", _NOW_MS // 1000, str(_NOW_MS),
    "\u202e", "s\u0301top", "ｓｔｏｐ",
)  # fmt: skip


def body(rng: random.Random, page: str) -> bytes:
    """One body: mostly JSON."""
    entries: list[Any] = []
    for _ in range(rng.randrange(1, 4)):
        entry: dict[str, Any] = {"id": page, "time": _NOW_MS + rng.randrange(10_000)}
        if rng.random() < 0.15:
            entry["changes"] = [copy.deepcopy(rng.choice(_CHANGES)) for _ in range(rng.randrange(1, 3))]
        else:
            channel = "standby" if rng.random() < 0.1 else "messaging"
            entry[channel] = [_event(rng, page) for _ in range(rng.randrange(1, 4))]
        entries.append(entry)
    said: Any = {"object": "page", "entry": entries}
    try:
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 5))):
            said = _changed(rng, said)
        raw = json.dumps(said, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    except RecursionError:
        # Depth upon depth, which Python itself cannot write: another one.
        return body(rng, page)
    return _scratched(rng, raw) if rng.random() < 0.1 else raw


def _event(rng: random.Random, page: str) -> dict[str, Any]:
    said = copy.deepcopy(rng.choice(_SAID))
    part = next(iter(said.values()))
    if "mid" in part:
        part["mid"] = f"m{rng.randrange(60)}"
    sender, recipient = {"id": str(rng.randrange(5))}, {"id": page}
    if part.get("is_echo"):
        sender, recipient = recipient, sender
    return {"sender": sender, "recipient": recipient, "timestamp": _NOW_MS + rng.randrange(10_000), **said}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += _places(each, (*path, key))
    return found


def _changed(rng: random.Random, said: Any) -> Any:
    places = _places(said)
    if not places:
        return rng.choice(_ODD)
    *way, last = rng.choice(places)
    holder = said
    for key in way:
        holder = holder[key]
    match rng.randrange(6):
        case 0 | 1 | 2:
            holder[last] = copy.deepcopy(rng.choice(_ODD))
        case 3:
            del holder[last]
        case 4:
            nested = holder[last]
            for _ in range(rng.choice((1, 3, 150, 400, 2000))):
                nested = [nested] if rng.random() < 0.5 else {"message": nested}
            # What Python cannot write is written by hand.
            holder[last] = nested if _writable(nested) else "deep"
        case _:
            if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            else:
                holder[str(rng.choice(("", "mid", "text", "id", "x" * 300, "\x00")))] = holder[last]
    return said


def _writable(value: Any) -> bool:
    try:
        json.dumps(value)
        copy.deepcopy(value)
    except RecursionError:
        return False
    return True


def _scratched(rng: random.Random, raw: bytes) -> bytes:
    """The bytes with something wrong about them."""
    place = rng.randrange(len(raw) + 1)
    odd = rng.choice(
        (b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"NaN", b"1e999", b'"', b"}", b"[" * 300, b"\\u0000", b"\\ud83d")
    )
    return raw[:place] + odd + raw[place + rng.randrange(3) :]


#: What an entry has that says when and where, or has the events.
_OF_AN_ENTRY = {"id", "time", "uid", "changed_fields", "hop_context", "messaging", "standby", "changes"}


def events_in(raw: bytes) -> int:
    """How many events a body has by the plainest reading; 1 where it cannot be read at all."""
    try:
        said = json.loads(raw)
        entries = [said["entry"]] if isinstance(said["entry"], dict) else said["entry"]
        assert isinstance(entries, list)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        return 1
    count = 0
    for entry in entries:
        if not isinstance(entry, dict):
            count += 1
            continue
        parts = [entry.get(name) for name in ("messaging", "standby", "changes") if entry.get(name) is not None]
        # Whatever else an entry has may be events by another name.
        more = sum(isinstance(part, (list, dict)) for name, part in entry.items() if name not in _OF_AN_ENTRY)
        count += (sum(len(part) if isinstance(part, list) else 1 for part in parts) + more) or (not parts)
    return count


def look(client: TestClient, row: Any, page: str, rng: random.Random, *, bodies: int) -> None:
    """Send random bodies; fails with the one that was not answered with 200, or of which a row is missing."""
    stored = row("SELECT count(*) FROM platform_event")[0]
    for _ in range(bodies):
        raw = body(rng, page)
        signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        answer = client.post("/webhooks/messenger", content=raw, headers={"X-Hub-Signature-256": f"sha256={signature}"})
        assert answer.status_code == 200, (answer.status_code, answer.text, raw)
        told = answer.json()
        events = events_in(raw)
        # One that nests deeper than anything is kept whole.
        assert told["received"] + told["known"] in (events, 1), (told, events, raw)
        stored += told["received"]
        assert row("SELECT count(*) FROM platform_event")[0] == stored, (told, raw)
    lost = row("SELECT count(*) FROM platform_event WHERE (applied_at IS NULL) = (error IS NULL)")[0]
    assert lost == 0, f"{lost} events are neither applied nor failed, or both"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.monotonic()))
    options = parser.parse_args()
    from scheduler.api.app import create_app
    from scheduler.pages.registry import add_page
    from scheduler.store import database, migrate
    from scheduler.store.embedded import Servers

    rng = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory(prefix="duly-fuzz-") as folder,
        Servers(Path(folder), durable=False, throwaway=True) as servers,
    ):
        os.environ |= {
            "DULY_DATA_DIR": folder, "DULY_DATABASE_URL": servers.database_url, "DULY_DATABASE_POOL": "10",
            "DULY_LOG_LEVEL": "error",
        }  # fmt: skip
        migrate.upgrade(servers.database_url)
        with database.session() as session:
            add_page(
                session, app_external_id="900100", app_secret=SECRET, verify_token="verify-me",
                external_id="100200300400",
                name="Fuzz", token="EAAtoken", mode="live", rate=30, now=_NOW_MS // 1000,
            )  # fmt: skip

        def row(query: str) -> Any:
            with Session(database.engine()) as session:
                return session.connection().execute(text(query)).first()

        ends, done = time.monotonic() + 60 * options.minutes, 0
        with TestClient(create_app(), raise_server_exceptions=False) as client:
            while time.monotonic() < ends:
                look(client, row, "100200300400", rng, bodies=200)
                done += 200
        database.dispose()
    sys.stdout.write(f"{done} bodies of seed {options.seed}: each answered with 200, every event a row\n")


if __name__ == "__main__":
    main()
