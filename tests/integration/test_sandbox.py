"""The sandbox as a process: its codes over HTTP, its webhooks at a real receiver, its log, its faults."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.sandbox_process import SECRET, Receiver, Sandbox, noon, running, update
from tests.patience import patience
from workers.sandbox.witness import judge


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def sandbox(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox"), receiver, "--script", "none", **noon(rate=1)) as made:
        yield made


@pytest.fixture(autouse=True)
def _quiet(receiver: Receiver) -> None:
    receiver.bodies.clear()
    receiver.signatures.clear()
    receiver.answers.clear()


def test_an_accepted_message_is_echoed_delivered_and_logged(
    sandbox: Sandbox, receiver: Receiver, eventually: Callable[..., None]
) -> None:
    psid = sandbox.person()
    assert sandbox.post("say", psid=psid, text="Olá, açaí?")["delivered"] is True
    answer = sandbox.send(update(psid, metadata="77.5.mac")).json()
    assert answer["recipient_id"] == psid
    eventually(lambda: receiver.echoes() and receiver.of("delivery"), what="the echo and the delivery")
    echo = receiver.echoes()[0]
    assert echo["sender"] == {"id": sandbox.page["id"]}
    assert echo["recipient"] == {"id": psid}
    assert echo["message"]["mid"] == answer["message_id"]
    assert echo["message"]["metadata"] == "77.5.mac"
    assert str(echo["message"]["app_id"]) == sandbox.page["app_id"]
    assert receiver.of("delivery")[0]["delivery"]["mids"] == [answer["message_id"]]
    logged = [json.loads(line) for line in sandbox.log.read_text().splitlines()]
    kinds = [line["kind"] for line in logged]
    assert kinds.index("inbound") < kinds.index("acknowledged") < kinds.index("request") < kinds.index("answer")
    assert sandbox.page["access_token"] not in sandbox.log.read_text()


def test_every_webhook_is_signed_over_its_bytes(sandbox: Sandbox, receiver: Receiver) -> None:
    psid = sandbox.person()
    for kind in ("message", "quick_reply", "postback", "optin", "stop"):
        assert sandbox.post("say", psid=psid, kind=kind, text="Größe 42 / blau", payload="NOTIFY_ME:mug")["delivered"]
    assert len(receiver.bodies) >= 5
    for body, signature in zip(receiver.bodies, receiver.signatures, strict=True):
        assert signature == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert b"Gr\\u00f6\\u00dfe 42 \\/ blau" in receiver.bodies[0]
    # A tapped quick reply is a message; only buttons are postbacks.
    assert len(receiver.of("message")) == 3
    assert receiver.of("postback")[0]["postback"]["payload"] == "NOTIFY_ME:mug"
    assert receiver.of("optin")[0]["optin"]["notification_messages_timezone"] == "Etc/UTC"


def test_a_failed_webhook_is_tried_again_and_keeps_its_persons_order(sandbox: Sandbox, receiver: Receiver) -> None:
    psid = sandbox.person()
    receiver.answers[:] = [500, 503]
    sandbox.post("say", psid=psid, text="first", wait=False)
    assert sandbox.post("say", psid=psid, text="second")["delivered"] is True
    texts = [event["message"]["text"] for event in receiver.of("message") if event["sender"]["id"] == psid]
    assert texts == ["first", "first", "first", "second"]


def test_the_real_codes(sandbox: Sandbox) -> None:
    silent, blocked, known = sandbox.person(), sandbox.person(), sandbox.person()
    elsewhere = sandbox.person(page_id=sandbox.pages[1]["id"])
    for psid in (blocked, known, elsewhere):
        sandbox.post("say", psid=psid)
    sandbox.post("say", psid=blocked, kind="block")
    old = sandbox.person()
    sandbox.post("say", psid=old, at="2026-03-06T11:59:59Z")
    assert sandbox.codes(update(silent)) == (10, 2018278)
    assert sandbox.codes(update(old)) == (10, 2018278)
    assert sandbox.codes(update("12345")) == (100, 2018001)
    assert sandbox.codes(update(elsewhere)) == (100, 2018001)
    assert sandbox.codes(update(blocked)) == (551, 1545041)
    assert sandbox.codes(update(known), token="stolen") == (190, None)
    assert sandbox.codes(update(known), token=sandbox.pages[1]["access_token"]) == (200, 2018028)
    assert sandbox.codes(update(known, text="x" * 2000)) == (100, None)
    assert sandbox.codes({**update(known), "messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}) == (100, None)
    assert sandbox.codes(["nothing"]) == (100, None)
    assert sandbox.codes(update(known), path="v99.0/me/messages") == (2500, None)
    assert sandbox.codes(update(known), path=f"v26.0/{sandbox.page['id']}/messages?appsecret_proof=0") == (100, None)
    assert sandbox.send(update(known), path="v25.0/me/messages").status_code == 200
    assert sandbox.send({"recipient": {"id": known}, "sender_action": "typing_on"}).json() == {"recipient_id": known}
    # Whoever writes again has taken the block back.
    sandbox.post("say", psid=blocked)
    assert sandbox.send(update(blocked, metadata="2.1.x")).status_code == 200


def test_utility_templates_are_registered_listed_and_used(sandbox: Sandbox) -> None:
    psid = sandbox.person()
    body = {
        "recipient": {"id": psid},
        "messaging_type": "UTILITY",
        "message": {"template": {"name": "parcel_waits", "language": {"code": "fr"}}, "metadata": "9.1.x"},
    }
    assert sandbox.codes(body) == (100, None)
    made = sandbox.send(
        {
            "name": "parcel_waits",
            "language": "fr",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Votre colis est là."}],
        },
        path=f"v26.0/{sandbox.page['id']}/message_templates",
    ).json()
    assert made["status"] == "APPROVED"
    listed = sandbox.graph(f"{sandbox.page['id']}/message_templates").json()["data"]
    assert {"order_shipped", "parcel_waits"} <= {template["name"] for template in listed}
    # No window is needed: this person never wrote.
    assert sandbox.send(body).json()["recipient_id"] == psid


def test_pages_and_profiles_tell_what_they_may(sandbox: Sandbox) -> None:
    page = sandbox.page
    assert sandbox.graph(page["id"], fields="id,name").json() == {"id": page["id"], "name": page["name"]}
    assert sandbox.graph(page["id"], token="bad").json()["error"]["code"] == 190
    readable = sandbox.person(zone="Asia/Kathmandu", evidence="profile_offset", first_name="आरव", locale="hi_IN")
    profile = sandbox.graph(readable, fields="first_name,locale,timezone").json()
    assert profile == {"id": readable, "first_name": "आरव", "locale": "hi_IN", "timezone": 5.75}
    assert sandbox.graph(sandbox.person(evidence="optin_iana"), fields="timezone").json() == {}
    assert sandbox.graph("999", fields="timezone").json()["error"]["code"] == 100


@pytest.mark.parametrize(
    ("fault", "outcome", "accepted"),
    [
        ({"kind": "hang"}, requests.exceptions.ReadTimeout, 1),
        ({"kind": "reset"}, requests.exceptions.ConnectionError, 1),
        ({"kind": "reset", "accepted": False}, requests.exceptions.ConnectionError, 0),
        ({"kind": "http500_after_accept"}, None, 1),
    ],
)
def test_faults_leave_a_message_in_doubt(
    sandbox: Sandbox,
    receiver: Receiver,
    eventually: Callable[..., None],
    fault: dict[str, Any],
    outcome: type[Exception] | None,
    accepted: int,
) -> None:
    psid = sandbox.person()
    sandbox.post("say", psid=psid)
    before = sandbox.get("status")["accepted"]
    sandbox.post("fault", page_id=sandbox.page["id"], count=1, **fault)
    address, headers = f"{sandbox.url}/v26.0/me/messages", {"Authorization": f"Bearer {sandbox.page['access_token']}"}
    if outcome is None:
        answer = requests.post(address, json=update(psid, metadata=f"{psid}.1.x"), headers=headers, timeout=patience(5))
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, 2)
    else:
        with pytest.raises(outcome):
            requests.post(address, json=update(psid, metadata=f"{psid}.1.x"), headers=headers, timeout=0.5)
    assert sandbox.get("status")["accepted"] == before + accepted
    if accepted:
        eventually(lambda: any(e["message"]["metadata"] == f"{psid}.1.x" for e in receiver.echoes()), what="the echo")
    # The next one meets no fault.
    assert sandbox.send(update(psid, metadata=f"{psid}-next.1.x")).status_code == 200


def test_the_witness_sees_a_send_after_an_acknowledged_stop(sandbox: Sandbox, eventually: Callable[..., None]) -> None:
    psid = sandbox.person()
    sandbox.post("say", psid=psid)
    # Free text is for the page to honour: the platform would deliver.
    sandbox.post("say", psid=psid, text="Laissez-moi tranquille", intent="stop")
    numbers = itertools.count()

    def blamed() -> list[str]:
        broken = sandbox.get("verdict")["violations"]
        return [each["message"] for each in broken if (each["kind"], each["psid"]) == ("opted_out", psid)]

    def a_send_is_blamed() -> bool:
        assert sandbox.send(update(psid, metadata=f"{psid}-{next(numbers)}.1.x")).status_code == 200
        return bool(blamed())

    # At first a request may have been on its way; a quarter of a second later it cannot.
    eventually(a_send_is_blamed, what="a violation")
    sandbox.post("say", psid=psid, kind="start")
    before = blamed()
    assert sandbox.send(update(psid, metadata=f"{psid}-back.1.x")).status_code == 200
    assert blamed() == before
    assert judge(sandbox.log).as_json() == sandbox.get("verdict")


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("person", {"page_id": "1", "zone": "Etc/UTC"}, "there is no page 1"),
        ("person", {"page_id": None, "zone": "Etc/UTC"}, "page_id"),
        ("say", {"psid": "0"}, "nobody has the psid 0"),
        ("say", {"psid": "0", "kind": "shout"}, "kind"),
        ("fault", {"kind": "gremlin"}, "kind"),
        ("fault", {"kind": "hang", "colour": "red"}, "colour"),
    ],
)
def test_a_malformed_wish_is_refused_with_its_reason(
    sandbox: Sandbox, path: str, body: dict[str, Any], said: str
) -> None:
    answer = sandbox.http.post(f"{sandbox.url}/sandbox/{path}", json=body, timeout=patience(5))
    assert answer.status_code in (404, 422)
    assert said in answer.json()["error"]


def test_a_zone_that_does_not_exist_is_refused(sandbox: Sandbox) -> None:
    body = {"page_id": sandbox.page["id"], "zone": "Mars/Olympus"}
    answer = sandbox.http.post(f"{sandbox.url}/sandbox/person", json=body, timeout=patience(5))
    assert (answer.status_code, "Mars/Olympus" in answer.text) == (422, True)


def test_without_a_script_there_is_nothing_to_play(sandbox: Sandbox) -> None:
    assert sandbox.http.post(f"{sandbox.url}/sandbox/play", timeout=patience(5)).status_code == 409


def test_a_page_above_its_rate_is_throttled(receiver: Receiver, tmp_path: Path) -> None:
    with running(tmp_path, receiver, "--script", "none", "--rate", "1", "--no-fsync") as sandbox:
        psid = sandbox.person()
        sandbox.post("say", psid=psid)
        # One after the other they may last longer than the rate is counted, where the machine is busy.
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda n: sandbox.send(update(psid, metadata=f"{n}.1.x")), range(12)))
        throttled = [answer for answer in answers if answer.status_code == 400]
        assert {answer.json()["error"]["code"] for answer in throttled} <= {613, 80006}
        assert len(throttled) >= 5
        usage = json.loads(throttled[0].headers["X-Business-Use-Case-Usage"])
        assert next(iter(usage.values()))[0]["type"] == "messenger"


def test_the_demo_script_is_played_to_its_end_and_survives_a_restart(
    receiver: Receiver, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    environment = noon(rate=20_000)
    arguments = ("--seed", "7", "--people", "40", "--no-fsync")
    with running(tmp_path, receiver, *arguments, **environment) as sandbox:
        assert len(sandbox.get("people")) == 40
        assert {len(page["skus"]) for page in sandbox.pages} == {2}
        tokens = [page["access_token"] for page in sandbox.pages]
        assert sandbox.post("play") == {"begun": True, "handshake": "verified"}
        assert sandbox.post("play")["begun"] is False
        refused = sandbox.http.post(f"{sandbox.url}/sandbox/say", json={"psid": "1"}, timeout=patience(5))
        assert refused.status_code in (400, 404, 405)
        assert sandbox.get("status")["events_total"] > 40
    with running(tmp_path, receiver, *arguments, **environment) as sandbox:
        assert [page["access_token"] for page in sandbox.pages] == tokens
        eventually(lambda: sandbox.get("status")["over"], seconds=20, what="the end of the script")
        eventually(lambda: _all_told(sandbox.get("status")), what="the last webhook")
    ids = [json.loads(line)["id"] for line in sandbox.log.read_text().splitlines() if '"kind":"inbound"' in line]
    assert len(ids) == len(set(ids))
    assert not receiver.of("reaction")
    # Copies may come, but nobody's word is lost.
    told = {event["message"]["mid"] for event in receiver.of("message")}
    assert len(told) > 30


def _all_told(status: dict[str, Any]) -> bool:
    return bool(status["events_delivered"] == status["events_total"])
