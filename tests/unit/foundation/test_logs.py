from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
import uvicorn

from scheduler import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        {"access_token": "EAAhunter2hunter2"},
        {"page_token": "hunter2"},
        {"psid": "6401234567890hunter2"},
        {"text": "see you at the clinic, hunter2"},
        {"detail": {"recipient": {"id": "hunter2"}, "message": [{"text": "hunter2"}]}},
        {"url": "https://graph.facebook.com/v26.0/me?access_token=hunter2"},
        {"url": "postgresql://duly:hunter2@db/duly"},
        {"header": "Authorization: Bearer hunter2"},
        {"error": ValueError("bad token EAAhunter2hunter2")},
        {"path": "PUT /api/v1/pages/24/contacts/hunter2 HTTP/1.1"},
        {"error": ValueError("duplicate key\nDETAIL:  Key (page_id, psid)=(1, hunter2) already exists.")},
        {"psids": ["hunter2"], "phrase": "hunter2", "work_email": "hunter2"},
        {"error": ValueError('{\'psid\': \'hunter2\', "text": "it\'s \\"hunter2\\""}')},
        {"error": ValueError("no contact `hunter2` of psid=hunter2, e-mail hunter2@example.com")},
        {"error": ValueError("1 error\n  [type=int, input_value={'a': 'hunter2'}, input_type=dict]")},
        {"error": ValueError('invalid input syntax for type bigint: "hunter2"')},
        {"url": "https://graph.facebook.com/v26.0/hunter2?fields=name"},
    ],
    ids=str,
)
def test_nothing_secret_or_personal_gets_into_a_log(secret: dict[str, object], lines: io.StringIO) -> None:
    logs.get_logger("duly").info("something_happened", **secret)
    assert "hunter2" not in lines.getvalue()
    assert json.loads(lines.getvalue())["event"] == "something_happened"


def test_lines_of_libraries_are_redacted_too(lines: io.StringIO) -> None:
    logging.getLogger("urllib3").warning("GET /v26.0/%s?access_token=%s", "24012345678901234", "hunter2")
    assert json.loads(lines.getvalue())["event"] == "GET /v26.0/[id]?access_token=[token]"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_server_that_was_told_to_keep_no_access_log_keeps_none(wanted: bool, lines: io.StringIO) -> None:
    uvicorn.Config("scheduler.api.app:create_app", access_log=wanted)
    try:
        logs.configure("info", "json", lines)
        logging.getLogger("uvicorn.access").info("GET /api/v1/pages")
        assert bool(lines.getvalue()) is wanted
    finally:
        logging.getLogger("uvicorn.access").propagate = True


def test_an_exception_is_logged_without_the_secret_it_carries(lines: io.StringIO) -> None:
    try:
        int("Bearer hunter2")
    except ValueError:
        logs.get_logger("duly").exception("send_failed")
    written = json.loads(lines.getvalue())
    assert "ValueError" in written["exception"]
    assert "hunter2" not in lines.getvalue()


@pytest.mark.parametrize("number", ["+4930901833", "+49 30 901833", "+1 (202) 555-0175", "+44-20-7946-0958"])
def test_a_telephone_number_is_masked_wherever_it_stands(number: str, lines: io.StringIO) -> None:
    logs.get_logger("duly").info("something_happened", error=f"call {number}, please")
    assert json.loads(lines.getvalue())["error"] == "call [phone], please"


def test_instants_and_versions_are_no_telephone_numbers(lines: io.StringIO) -> None:
    told = "2026-11-21T19:39:46+01:00 took +12 ms of 1,774,764,000 in v26.0 at /v26.0/me and /v26.0/555/messages"
    logs.get_logger("duly").info("something_happened", error=told)
    assert json.loads(lines.getvalue())["error"] == told


def test_fields_that_tell_nothing_private_stay(lines: io.StringIO) -> None:
    logs.get_logger("duly").info("message_deferred", message_id=42, reason="quiet_hours", until=1774764000)
    written = json.loads(lines.getvalue())
    assert (written["message_id"], written["reason"], written["until"]) == (42, "quiet_hours", 1774764000)


def test_a_lasting_error_is_told_once_in_a_while_for_each_thing(eventually: Callable[..., None]) -> None:
    log = logs.get_logger("duly")
    with structlog.testing.capture_logs() as said:
        for page in (1, 2, 1):
            logs.complain(log, "policy_unreadable", page, page=page)
        assert [(line["log_level"], line["page"]) for line in said] == [("error", 1), ("error", 2)]
        said.clear()
        soon = logs.Complaints(silence=0.1)

        def told_twice() -> bool:
            soon.tell(log, "policy_unreadable", 1, page=1)
            return len(said) == 2

        eventually(told_twice, what="the same being told again")
