"""SIGKILL exactly where something becomes true, at every such place; and what becomes of every message after it."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from scheduler import clock
from scheduler.campaigns.lifecycle import launch
from scheduler.campaigns.registry import create_campaign
from scheduler.outbox.sweep import REQUEST_LIMIT, sweep
from scheduler.outbox.wake import wake_parked
from scheduler.pages.registry import get_page
from scheduler.settings import CrashPoint, get_settings
from tests.chaos.crash_points.conftest import Scene
from workers import tasks
from workers.channel import make_channel
from workers.deliver import Delivery

#: Point → whether the database forgot the batch (nothing was committed), whether anything reached the platform.
DELIVER = {
    "deliver.before_reserve": (True, False),
    "deliver.before_commit": (True, False),
    "deliver.after_commit": (False, False),
    "deliver.before_post": (False, False),
    "deliver.after_bytes": (False, True),
    "deliver.after_answer": (False, True),
    "settle.middle": (False, True),
    "settle.after_commit": (False, True),
}
OTHERS = {
    "tick.before_commit", "tick.after_commit", "plan.before_commit", "plan.after_commit", "wake.before_commit",
    "wake.after_commit", "sweep.before_commit", "sweep.after_commit", "webhook.before_commit", "webhook.after_commit",
}  # fmt: skip
ACCEPTED = {"sent", "delivered", "read"}


def _deliver() -> None:
    channel = make_channel()
    try:
        Delivery("promotional", channel, idle=0.3).run()
    finally:
        channel.pool.shutdown()
        channel.client.close()
        channel.throttle.disconnect()


def _goes(scene: Scene, messages: list[int]) -> None:
    """Deliver until they are with the platform: on a busy machine a decision may grow too old, and is taken again."""

    def gone() -> bool:
        _deliver()
        if set(scene.states(messages)) <= ACCEPTED:
            return True
        scene.later()
        return False

    scene.eventually(gone, seconds=40, what="the platform having them")


def _sweep(scene: Scene, later: float) -> dict[str, int]:
    found = sweep(scene.session, clock.now() + int(later))
    scene.stage.commit()
    return found


def _taken(scene: Scene, messages: list[int]) -> dict[int, int]:
    accepted = scene.town.accepted()
    return {message: accepted[str(message)] for message in messages}


def test_every_point_has_its_test() -> None:
    assert set(get_args(CrashPoint)) == DELIVER.keys() | OTHERS


@pytest.mark.parametrize("point", DELIVER)
def test_a_delivery_that_dies_loses_nothing_and_sends_nothing_twice(point: str, scene: Scene) -> None:
    forgotten, reached = DELIVER[point]
    # One sender thread takes two at a time: one is on its way while the other waits in line.
    for _ in range(8):
        messages = scene.messages(2)
        died = scene.crash("deliver", point, "promotional")
        if died and (not reached or any(_taken(scene, messages).values())):
            break
        # On a busy machine a thread comes too late to a decision and gives its message back, or the echo is sooner
        # than settling: that delivery never came to the point. The next may.
    else:
        pytest.fail(f"no delivery came to {point}: {scene.town.task_log()}")
    if forgotten:
        assert scene.states(messages) == ["due"] * 2
        _goes(scene, messages)
        assert _taken(scene, messages) == dict.fromkeys(messages, 1)
    else:
        # Whoever comes next leaves alone what may be on the wire.
        _deliver()
        assert "due" not in scene.states(messages)
        _sweep(scene, REQUEST_LIMIT + 2)
    taken = _taken(scene, messages)
    assert bool(sum(taken.values())) == (reached or forgotten)
    # The witness's echo tells of those that had arrived, whenever it comes.
    scene.eventually(
        lambda: all(
            (state in ACCEPTED) == bool(taken[message])
            for message, state in zip(messages, scene.states(messages), strict=True)
        ),
        seconds=20,
        what="the echo",
    )
    _sweep(scene, REQUEST_LIMIT + get_settings().doubt_wait + 5)
    _deliver()
    for message, state in zip(messages, scene.states(messages), strict=True):
        if taken[message]:
            assert state in ACCEPTED
        else:
            reason = scene.stage.one("SELECT reason FROM message WHERE id = :id", id=message)
            assert (state, reason) == ("unconfirmed", "no_evidence")
    # Nothing went out after all that either.
    assert _taken(scene, messages) == taken
    assert max(taken.values()) <= 1


@pytest.mark.parametrize("point", ["tick.before_commit", "tick.after_commit"])
def test_a_tick_that_dies_makes_due_all_or_nothing(point: str, scene: Scene) -> None:
    messages = scene.messages(3, state="scheduled")
    assert scene.crash("tick", point)
    assert scene.states(messages) == ["scheduled" if point == "tick.before_commit" else "due"] * 3
    tasks.tick()
    assert scene.states(messages) == ["due"] * 3
    _goes(scene, messages)
    assert _taken(scene, messages) == dict.fromkeys(messages, 1)


@pytest.mark.parametrize("point", ["plan.before_commit", "plan.after_commit"])
def test_a_plan_that_dies_gives_everybody_exactly_one_message(point: str, scene: Scene) -> None:
    people = scene.people(3)
    page = get_page(scene.session, scene.town.page["id"])
    campaign = create_campaign(
        scene.session, page, name="c", template="promotional", audience=list(people), actor="test", now=clock.now()
    )
    assert campaign.id is not None
    launch(scene.session, campaign.id, actor="test", now=clock.now())
    scene.stage.commit()
    assert scene.crash("plan", point)
    planned = "SELECT id FROM message WHERE campaign_id = :id ORDER BY id"
    found = [row.id for row in scene.stage.rows(planned, id=campaign.id)]
    assert len(found) == (0 if point == "plan.before_commit" else 3)
    # Whoever plans lets what may go now become due; what a dead one had planned waits for beat's tick.
    tasks.plan()
    if found:
        tasks.tick()
    scene.stage.commit()
    found = [row.id for row in scene.stage.rows(planned, id=campaign.id)]
    assert scene.states(found) == ["due"] * 3
    _goes(scene, found)
    assert list(_taken(scene, found).values()) == [1, 1, 1]


@pytest.mark.parametrize("point", ["wake.before_commit", "wake.after_commit"])
def test_a_wake_that_dies_wakes_a_chunk_or_nothing_and_the_rest_later(point: str, scene: Scene) -> None:
    messages = scene.messages(3, state="scheduled", due_at=None, wakes_on="resume", reason="kill_switch")
    assert wake_parked(scene.session, clock.now(), limit=1) == 1
    scene.stage.commit()
    assert scene.crash("wake", point)
    first, *rest = scene.states(messages)
    assert (first, rest) == ("due", ["scheduled" if point == "wake.before_commit" else "due"] * 2)
    assert tasks.wake() == (2 if point == "wake.before_commit" else 0)
    assert scene.states(messages) == ["due"] * 3
    _goes(scene, messages)
    assert _taken(scene, messages) == dict.fromkeys(messages, 1)


@pytest.mark.parametrize("point", ["sweep.before_commit", "sweep.after_commit"])
def test_a_sweep_that_dies_counts_a_crash_once(point: str, scene: Scene) -> None:
    messages = scene.messages(2)
    for message in messages:
        scene.stage.attempt(message, begun_at=clock.now() - 60)
    scene.stage.commit()
    assert scene.crash("sweep", point)
    assert scene.states(messages) == ["sending" if point == "sweep.before_commit" else "in_doubt"] * 2
    tasks.sweep()
    tasks.sweep()
    assert scene.states(messages) == ["in_doubt"] * 2
    assert scene.stage.one("SELECT max(crashes) FROM message WHERE id = ANY(:ids)", ids=messages) == 1
    _sweep(scene, get_settings().doubt_wait + 5)
    assert scene.states(messages) == ["unconfirmed"] * 2
    assert _taken(scene, messages) == dict.fromkeys(messages, 0)


@pytest.mark.parametrize("point", ["webhook.before_commit", "webhook.after_commit"])
def test_a_webhook_that_dies_is_told_again_and_counts_once(point: str, scene: Scene) -> None:
    town = scene.town
    [(psid, contact)] = scene.people(1).items()
    message = scene.stage.message(contact)
    scene.stage.commit()
    town.stop_web()
    town.start_web(point)
    town.post("/sandbox/say", psid=psid, kind="stop", wait=False)
    scene.eventually(town.web_died, seconds=20, what="the web process dying")
    known = "SELECT count(*) FROM consent_record WHERE contact_id = :id AND action = 'opt_out'"
    scene.stage.commit()
    assert scene.stage.one(known, id=contact) == (0 if point == "webhook.before_commit" else 1)
    town.stop_web()
    town.start_web()

    def acknowledged() -> bool:
        lines = (json.loads(line) for line in town.log.read_text().splitlines())
        return any(each["kind"] == "acknowledged" and each["id"].startswith(psid) and each["try"] > 1 for each in lines)

    scene.eventually(acknowledged, seconds=20, what="the acknowledgement")
    _deliver()
    scene.stage.commit()
    assert scene.stage.one(known, id=contact) == 1
    reason = scene.stage.one("SELECT reason FROM message WHERE id = :id", id=message)
    assert (scene.stage.state(message), reason) == ("denied", "opted_out")
    assert _taken(scene, [message]) == {message: 0}
