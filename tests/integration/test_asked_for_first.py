"""A newsletter beside what people asked for, over a real worker, web process and sandbox: who asked gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from policies.policy import parse_policy
from scheduler import clock
from scheduler.campaigns import lifecycle, registry
from scheduler.campaigns.planning import plan_next
from scheduler.content.templates import save_template
from scheduler.doorbell import ring
from scheduler.followups.events import receive_event
from scheduler.followups.interests import ask_back_in_stock
from scheduler.followups.planning import plan_next_event
from scheduler.followups.recipes import set_recipe
from scheduler.governance.policies import activate_policy
from scheduler.outbox.ledger import faults
from scheduler.outbox.tick import tick
from scheduler.pages.tables import Page
from tests.integration.test_worker import Worker
from tests.integration.town import Town

ONE_A_DAY = '[policy]\nname = "one a day"\n[[frequency_cap]]\nid = "daily"\nlimit = 1\nper = "24h"\n'


@pytest.fixture
def start_worker(
    town: Town, redis_url: str, tmp_path: Path, eventually: Callable[..., None]
) -> Iterator[Callable[[], None]]:
    """Start a worker of that town."""
    started: list[Worker] = []

    def start() -> None:
        worker = Worker(tmp_path / "worker.log", {})
        started.append(worker)
        with redis.Redis.from_url(redis_url) as client:

            def listens() -> bool:
                assert worker.process.poll() is None, worker.log.read_text()
                return any(str(found["cmd"]).startswith("brpop") for found in client.client_list())

            eventually(listens, seconds=60, what="the worker listening")

    yield start
    for worker in started:
        worker.close()


def _shop(town: Town) -> Page:
    session = town.session
    page = session.get_one(Page, town.page_id)
    activate_policy(session, town.page_id, parse_policy(ONE_A_DAY, where="t"), actor="test", why="test", now=town.now)
    for name, words in (("news", "News"), ("stock", "{{ product.name }} is back")):
        save_template(
            session, town.page_id, name=name, category="promotional", default_locale="en",
            bodies={"en": {"text": words}}, actor="test", now=town.now,
        )  # fmt: skip
    set_recipe(session, page, "product.back_in_stock", template="stock", actor="test", now=town.now)
    town.stage.commit()
    return page


def _launch(town: Town, page: Page) -> int:
    now = clock.now()
    made = registry.create_campaign(
        town.session, page, name="News", template="news", audience="everyone", actor="test", now=now
    )
    assert made.id is not None
    lifecycle.launch(town.session, made.id, actor="test", now=now)
    town.stage.commit()
    while plan_next(town.session, now):
        town.stage.commit()
    town.stage.commit()
    return made.id


def test_all_who_asked_get_what_they_asked_for_and_the_newsletter_says_why_not(
    town: Town, start_worker: Callable[[], None], eventually: Callable[..., None]
) -> None:
    page = _shop(town)
    people = [town.contact(town.person()) for _ in range(12)]
    asked = people[:5]
    for contact in asked:
        ask_back_in_stock(town.session, contact, town.page_id, "red-shoe", town.now, town.now)
    town.stage.commit()
    # The newsletter is scheduled first and would go this moment, to everyone; then the shoe is back.
    newsletter = _launch(town, page)
    assert town.stage.states() == {"scheduled": 12}
    stock = {"sku": "red-shoe", "name": "Red shoe"}
    receive_event(town.session, page, kind="product.back_in_stock", key="k", data=stock, actor="test", now=clock.now())
    while plan_next_event(town.session, clock.now()):
        town.stage.commit()
    town.stage.commit()
    start_worker()

    def over() -> bool:
        # Beat's part.
        tick(town.session, clock.now())
        town.stage.commit()
        ring("deliver")
        return bool(
            town.stage.one(
                "SELECT count(*) FROM message "
                "WHERE state IN ('due', 'sending') OR (state = 'scheduled' AND due_at IS NOT NULL)"
            )
            == 0
        )

    eventually(over, seconds=60, what="everything having gone, or having said why not")
    found = {
        (row.contact_id, row.campaign_id): (row.state, row.reason)
        for row in town.stage.rows("SELECT contact_id, campaign_id, state, reason FROM message")
    }
    arrived = ("sent", "delivered", "read")
    assert [found[contact, None][0] in arrived for contact in asked] == [True] * 5
    assert [found[contact, newsletter][0] in arrived for contact in people] == [False] * 5 + [True] * 7
    assert {found[contact, newsletter][1] for contact in asked} == {"window_closes_before_cap"}
    verdict = town.get("/sandbox/verdict")
    assert (verdict["accepted"], verdict["violations"]) == (12, [])
    assert faults(town.session) == []
