from __future__ import annotations

import asyncio
import threading
import time

import pytest

from scheduler.api import rates
from scheduler.api.rates import Rates
from scheduler.api.safe_headers import safe_headers
from scheduler.api.shared_look import SharedLook
from scheduler.api.sources import network_of
from scheduler.errors import SettingsInvalid, TooMany
from scheduler.settings import get_settings


def test_a_key_has_a_rate_of_its_own() -> None:
    made = Rates("3/minute", "2/minute")
    for _ in range(3):
        made.count_key("shop")
    with pytest.raises(TooMany, match="3 per 1 minute") as refused:
        made.count_key("shop")
    assert 1 <= refused.value.retry_after <= 60
    made.count_key("another")


def test_wrong_attempts_are_counted_by_address_and_right_ones_are_not() -> None:
    made = Rates("100/minute", "2/minute")
    for _ in range(2):
        made.check_failures("203.0.113.7")
        made.count_failure("203.0.113.7")
    with pytest.raises(TooMany):
        made.check_failures("203.0.113.7")
    for _ in range(10):
        made.check_failures("203.0.113.8")


def test_a_rate_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Rates("1/minute", "1/minute")
    made.count_key("shop")
    with pytest.raises(TooMany):
        made.count_key("shop")
    present = time.monotonic()
    monkeypatch.setattr(rates.time, "monotonic", lambda: present + 61)
    made.count_key("shop")


def test_addresses_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST", 100)
    made = Rates("1/minute", "1/minute")
    for number in range(1000):
        made.count_failure(str(number))
    assert len(made._storage._counts) == 100
    with pytest.raises(TooMany):
        made.check_failures("999")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_a_source_is_what_one_client_has_to_itself(address: str, source: str) -> None:
    assert network_of(address) == source


def test_headers_of_answers() -> None:
    plain, safe = safe_headers("/api/v1/pages", "http"), safe_headers("/docs", "https")
    assert "Strict-Transport-Security" not in plain
    assert "script-src" not in plain["Content-Security-Policy"]
    assert safe["Strict-Transport-Security"].startswith("max-age=")
    assert "script-src 'self'" in safe["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DULY_KEY_RATE", "many"),
        ("DULY_KEY_RATE", "0/minute"),
        ("DULY_FAILURE_RATE", "10/fortnight"),
        ("DULY_TRUSTED_PROXIES", "*"),
        ("DULY_TRUSTED_PROXIES", "10.0.0.1,proxy.example"),
        ("DULY_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DULY_WEB_CONNECTIONS", "0"),
    ],
)
def test_settings_that_would_open_or_close_the_door_are_refused(name: str, value: str, set_environment: object) -> None:
    set_environment(**{name: value})  # type: ignore[operator]
    with pytest.raises(SettingsInvalid, match=name):
        get_settings()


def test_what_is_not_for_the_internet_is_closed_in_production(set_environment: object) -> None:
    assert get_settings().open_description
    set_environment(DULY_PRIVATE_PORT="9")  # type: ignore[operator]
    assert not get_settings().open_description
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    set_environment(DULY_PRIVATE_PORT=None, DULY_ENV="production", DULY_ENCRYPTION_KEY=key)  # type: ignore[operator]
    assert not get_settings().open_description
    set_environment(DULY_PUBLIC_DOCS="true")  # type: ignore[operator]
    assert get_settings().open_description


def test_whoever_asks_at_once_shares_a_look() -> None:
    looks, at_once, most = 0, 0, 0
    turn = threading.Lock()

    def look() -> int:
        nonlocal looks, at_once, most
        with turn:
            looks, at_once = looks + 1, at_once + 1
            most = max(most, at_once)
        time.sleep(0.02)  # long enough for the others to ask meanwhile
        with turn:
            at_once -= 1
        return looks

    async def ask() -> None:
        shared = SharedLook(look)
        found = await asyncio.gather(*(shared.at_most(60) for _ in range(100)))
        assert set(found) == {1}
        # Recent enough.
        assert await shared.at_most(60) == 1
        # Whoever wants what is true now gets a new one.
        assert await shared.at_most(0) == 2

    asyncio.run(ask())
    assert (looks, most) == (2, 1)


def test_a_look_that_fails_fails_for_all_and_is_tried_again() -> None:
    outcomes = iter([OSError("no"), 7])

    def look() -> int:
        found = next(outcomes)
        if isinstance(found, OSError):
            raise found
        return found

    async def ask() -> None:
        shared = SharedLook(look)
        first, second = await asyncio.gather(shared.at_most(60), shared.at_most(60), return_exceptions=True)
        assert isinstance(first, OSError)
        assert isinstance(second, OSError)
        # It stands as long as an answer would.
        with pytest.raises(OSError, match="no"):
            await shared.at_most(60)
        assert await shared.at_most(0) == 7

    asyncio.run(ask())
