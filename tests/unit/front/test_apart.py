"""The process apart: what takes too long, too much memory, or dies is lost there, and another child takes its place."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from scheduler.api.apart import Apart
from scheduler.errors import Busy, Invalid, Unavailable
from tests.patience import patience, wait_until

_DUMB = """
import json, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["job"] == "die":
        sys.exit(1)
    if asked["job"] == "hang":
        time.sleep(1000)
    last = asked["job"] == "last"
    print(json.dumps({"done": asked["given"]} | ({"last": True} if last else {})), flush=True)
    if last:
        sys.exit(0)
"""
#: The real one, with work that no text can ask for any more.
_GREEDY = """
from scheduler.api import apart_child

def burn():
    while True:
        pass

apart_child._WORK |= {"eat": lambda: bytearray(1 << 30), "burn": burn, "dig": lambda: dig(), "add": lambda: {"sum": 3}}

def dig():
    return dig()

apart_child.main()
"""


@contextmanager
def apart(program: str = "", deadline: float = 30.0, waits: float = 30.0) -> Iterator[Apart]:
    made = Apart([sys.executable, "-c", program] if program else (), deadline=deadline, patience=waits)
    try:
        yield made
    finally:
        made.close()


def test_texts_are_read_one_after_another_by_one_child() -> None:
    with apart() as real:
        given = {"default_locale": "en", "utility_name": None}
        done = real.ask("template", field="bodies", bodies={"EN": {"text": "Hi {{ page.name }}"}}, **given)
        assert done == {"bodies": {"en": {"text": "Hi {{ page.name }}"}}, "default_locale": "en"}
        child = real._child
        with pytest.raises(Invalid) as refused:
            real.ask("template", field="bodies", bodies={"en": {"text": "Hi {{ page.nam }}"}}, **given)
        assert (refused.value.field, "unknown variable" in refused.value.message) == ("bodies.en.text", True)
        assert refused.value.way_out == "known are page.name"
        document = '[policy]\nname = "x"\nextends = "default"\n'
        assert 'name = "x"' in real.ask("policy", field="document", document=document)["document"]
        with pytest.raises(Invalid, match="document:1"):
            real.ask("policy", field="document", document="nothing")
        assert real._child is child


def test_what_hangs_is_killed_and_the_next_text_is_read_by_another_child() -> None:
    with apart(_DUMB, deadline=0.5) as dumb:
        first = dumb._running()
        with pytest.raises(Invalid, match="too much time or memory") as refused:
            dumb.ask("hang", field="bodies")
        assert refused.value.field == "bodies"
        assert first.poll() is not None
        with pytest.raises(Invalid):
            dumb.ask("die", field="bodies")
        assert dumb.ask("say", field="bodies", a=1) == {"a": 1}
        # It ends by itself after its last text; nobody notices.
        assert dumb.ask("last", field="bodies", a=2) == {"a": 2}
        assert dumb.ask("say", field="bodies", a="x" * 300_000) == {"a": "x" * 300_000}


def test_the_child_has_little_memory_and_little_time() -> None:
    with apart(_GREEDY) as greedy:
        for job in ("eat", "dig", "burn"):
            with pytest.raises(Invalid, match="too much time or memory"):
                greedy.ask(job, field="document")
        assert greedy.ask("add", field="document") == {"sum": 3}


def test_whoever_comes_on_top_of_those_who_wait_is_asked_to_come_again() -> None:
    with apart(_DUMB, deadline=1000, waits=1) as dumb, ThreadPoolExecutor(5) as pool:
        dumb._running()
        waiting = [pool.submit(dumb.ask, "hang", field="bodies") for _ in range(5)]
        assert wait_until(lambda: dumb._places._value == 0, seconds=10)  # type: ignore[attr-defined]
        with pytest.raises(Busy, match="too many"):
            dumb.ask("say", field="bodies")
        # Those who wait for the one that hangs are not kept for ever either.
        child = dumb._child
        assert child is not None
        refused = 0
        for each in waiting[1:]:
            error = each.exception(timeout=patience(30))
            refused += isinstance(error, Busy)
        assert refused >= 3
        child.kill()
        assert isinstance(waiting[0].exception(timeout=patience(30)), Invalid)


def test_a_child_that_does_not_start_is_told_of() -> None:
    with apart("raise SystemExit(3)") as broken, pytest.raises(Unavailable, match="did not start"):
        broken.ask("say", field="bodies")
    with pytest.raises(Unavailable, match="no process"):
        Apart(["/nowhere/at/all"]).ask("say", field="bodies")


def test_closing_ends_the_child_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with apart(_DUMB) as dumb:
        dumb.ask("say", field="bodies")
        child = dumb._child
    assert child is not None
    assert child.poll() is not None
    assert threading.active_count() == before
