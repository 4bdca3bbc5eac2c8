"""What the Send API refuses, with the real codes."""

from __future__ import annotations

from typing import Any

import pytest

from workers.sandbox.people import Person, make_pages
from workers.sandbox.send_rules import refusal_of
from workers.sandbox.world import Standing, World

NOW = 1_772_884_800.0
PAGES = make_pages(1, "secret", "verify")
PAGE, OTHER = PAGES[0], PAGES[1]


@pytest.fixture
def world() -> World:
    made = World({page.id: page for page in PAGES})
    for psid, standing in {
        "1": Standing(last_inbound=NOW - 3600),
        "2": Standing(last_inbound=NOW - 24 * 3600),
        "3": Standing(last_inbound=NOW - 60, blocked=True),
        "4": Standing(),
    }.items():
        made.people[psid] = Person(psid=psid, page_id=PAGE.id, zone="Europe/Paris")
        made.standings[psid] = standing
    return made


def update(psid: str = "1", **message: Any) -> dict[str, Any]:
    return {"recipient": {"id": psid}, "messaging_type": "UPDATE", "message": message or {"text": "hi"}}


def utility(name: object = "order_shipped", language: object = None, psid: str = "4", **more: Any) -> dict[str, Any]:
    template = {"name": name, "language": language if language is not None else {"code": "en"}, **more}
    return {"recipient": {"id": psid}, "messaging_type": "UTILITY", "message": {"template": template}}


@pytest.mark.parametrize(
    "body",
    [
        update(),
        update(text="x" * 1999),
        update(text="é" * 1999),
        update(text="hi", metadata="m" * 999),
        update(attachment={"type": "template", "payload": {"template_type": "button"}}),
        {**update(), "messaging_type": "RESPONSE", "notification_type": "NO_PUSH"},
        utility(),
        utility(components=[{"type": "body", "parameters": [{"type": "text", "text": "1001"}]}]),
        {"recipient": {"id": "2"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT", "message": {"text": "hi"}},
        {"recipient": {"id": "4"}, "sender_action": "typing_on"},
    ],
)
def test_accepted(world: World, body: object) -> None:
    assert refusal_of(body, PAGE, world, NOW) is None


@pytest.mark.parametrize(
    ("body", "code", "subcode"),
    [
        (update("2"), 10, 2018278),  # exactly 24 h is closed
        (update("4"), 10, 2018278),  # never wrote
        (update("99"), 100, 2018001),
        (update("3"), 551, 1545041),
        (utility(psid="3"), 551, 1545041),  # a template does not reach who has blocked the page
        (update(text="x" * 2000), 100, None),
        (update(text=""), 100, None),
        (update(text=5), 100, None),
        (update(text="\ud800"), 100, None),
        (update(text="hi", metadata="m" * 1000), 100, None),
        (update(text="hi", quick_replies=[{}] * 14), 100, None),
        (update(text="hi", attachment={"type": "image", "payload": {}}), 100, None),
        (update(attachment={"type": "hologram", "payload": {}}), 100, None),
        (update(template={"name": "order_shipped", "language": {"code": "en"}}), 100, None),
        ({"recipient": {"id": "1"}, "message": {"text": "hi"}}, 100, None),
        ({**update(), "messaging_type": "SHOUT"}, 100, None),
        ({**update(), "messaging_type": "MESSAGE_TAG"}, 100, None),
        ({**update(), "messaging_type": "MESSAGE_TAG", "tag": "CONFIRMED_EVENT_UPDATE"}, 100, None),
        ({**update(), "messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, 100, None),
        ({**update(), "messaging_type": "MESSAGE_TAG", "tag": "POST_PURCHASE_UPDATE"}, 100, None),
        ({**update(), "recipient": {}}, 100, None),
        ({**update(), "recipient": {"id": 1}}, 100, None),
        ({**update(), "recipient": {"id": "one"}}, 100, None),
        ({**update(), "recipient": "1"}, 100, None),
        ({**update(), "message": None}, 100, None),
        ({**update(), "sender_action": "typing_on"}, 100, None),
        (utility(name=None), 100, None),
        (utility(name="never_heard_of"), 100, None),
        (utility(language={}), 100, None),
        (utility(components=[{"type": "body", "parameters": [{"type": "text", "text": ""}]}]), 100, None),
        ({**utility(), "message": {"text": "shipped"}}, 100, None),
        (None, 100, None),
        ([], 100, None),
    ],
)
def test_refused(world: World, body: object, code: int, subcode: int | None) -> None:
    refusal = refusal_of(body, PAGE, world, NOW)
    assert refusal is not None
    assert (refusal.code, refusal.subcode) == (code, subcode)


def test_another_pages_person_is_nobody(world: World) -> None:
    refusal = refusal_of(update(), OTHER, world, NOW)
    assert refusal is not None
    assert (refusal.code, refusal.subcode) == (100, 2018001)


def _grant(world: World, psid: str = "4", text: str = "tok", **told: Any) -> None:
    token = {"status": "granted", "kind": "notification_messages", "text": text, "topic": "sales", "expires_at": None}
    world.permissions.learn({"kind": "inbound", "id": "g", "psid": psid, "token": token | told})


def free(token: str = "tok", **message: Any) -> dict[str, Any]:
    return {"recipient": {"notification_messages_token": token}, "message": message or {"text": "hi"}}


def paid(token: str = "tok", campaign: str = PAGE.message_campaign_id) -> dict[str, Any]:
    return {
        "message_id": campaign, "messenger_delivery_data": {"subscription_token": token}, "message": {"text": "hi"},
    }  # fmt: skip


def test_messages_on_tokens_are_taken_where_the_platform_does(world: World) -> None:
    world.people["4"] = Person(psid="4", page_id=PAGE.id, zone="Europe/Paris", country="FR")
    _grant(world)
    assert refusal_of(free(), PAGE, world, NOW) is None
    world.people["4"] = Person(psid="4", page_id=PAGE.id, zone="America/New_York", country="US")
    assert refusal_of(paid(), PAGE, world, NOW) is None


@pytest.mark.parametrize(
    ("body", "code", "subcode"),
    [
        (free("none"), 100, None),
        (paid("none"), 2300004, None),
        (paid(campaign="1"), 2300001, None),
        (paid(), 100, None),  # not in France
        (free(text=""), 100, None),
        (free("stopped"), 10, 1893015),
        (free("blocked"), 551, 1545041),
        (free("ended"), 100, None),
        (free("elsewhere"), 100, 2018001),
        (paid("elsewhere"), 2300005, None),
    ],
)
def test_messages_on_tokens_are_refused(world: World, body: dict[str, Any], code: int, subcode: int | None) -> None:
    world.people["4"] = Person(psid="4", page_id=PAGE.id, zone="Europe/Paris", country="FR")
    world.people["9"] = Person(psid="9", page_id=OTHER.id, zone="Europe/Paris", country="FR")
    _grant(world)
    _grant(world, text="ended", expires_at=NOW)
    _grant(world, text="stopped", topic="news")
    _grant(world, psid="3", text="blocked")
    _grant(world, psid="9", text="elsewhere")
    world.permissions.learn(
        {"kind": "inbound", "id": "s", "psid": "4", "token": {"status": "stopped", "topic": "news"}}
    )
    refusal = refusal_of(body, PAGE, world, NOW)
    assert refusal is not None
    assert (refusal.code, refusal.subcode) == (code, subcode)
