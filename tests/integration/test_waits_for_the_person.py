"""A campaign to somebody whose window is closed: they write, and it goes out, once, permitted by the witness."""

from __future__ import annotations

from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.town import Town
from tests.integration.town import channel as channel
from tests.integration.town import town as town
from workers.deliver import Channel, Delivery


def test_whoever_writes_after_the_launch_gets_it_once(town: Town, channel: Channel) -> None:
    launched_at = town.now - 240
    psids = [str(town.post("/sandbox/person", page_id=town.page["id"], zone=town.zone)["psid"]) for _ in range(2)]
    for psid in psids:
        town.stage.row(
            "INSERT INTO contact (page_id, psid, created_at, timezones) VALUES (:page, :psid, 0, ARRAY[:zone]) "
            "RETURNING id", page=town.page_id, psid=psid, zone=town.zone,
        )  # fmt: skip
    template = town.stage.one(
        "SELECT name FROM template WHERE id = :id", id=town.stage.templates[town.page_id, "promotional"]
    )
    page = town.session.get_one(Page, town.page_id)
    made = registry.create_campaign(
        town.session, page, name="Spring", template=template, audience="everyone", actor="tests", now=launched_at
    )
    assert made.id is not None
    lifecycle.launch(town.session, made.id, actor="tests", now=launched_at)
    while plan_next(town.session, launched_at):
        town.stage.commit()
    messages = {
        psid: int(town.stage.one("SELECT id FROM message WHERE contact_id = :id", id=town.contact(psid)))
        for psid in psids
    }
    tick(town.session, town.now)
    town.stage.commit()
    Delivery("promotional", channel, time_slice=5, idle=0.3).run()
    assert {town.stage.state(each) for each in messages.values()} == {"scheduled"}
    assert town.get("/sandbox/verdict")["requests"] == 0
    town.post("/sandbox/say", psid=psids[0], kind="message", text="hello")
    town.until(messages[psids[0]], "due")
    for _ in range(2):
        town.stage.commit()
        Delivery("promotional", channel, time_slice=5, idle=0.3).run()
    town.until(messages[psids[0]], "sent", "delivered", "read")
    assert town.stage.state(messages[psids[1]]) == "scheduled"
    verdict = town.get("/sandbox/verdict")
    assert (verdict["requests"], verdict["accepted"], verdict["violations"]) == (1, 1, [])
