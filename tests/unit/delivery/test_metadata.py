"""The identity of an attempt on the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from scheduler.outbox.metadata import make_metadata, read_metadata


def test_what_we_made_is_read_back_and_starts_with_the_message() -> None:
    made = make_metadata(17, 4)
    assert made.startswith("17.4.")
    assert len(made) < 40
    assert read_metadata(made) == (17, 4)


def test_a_changed_identity_is_nobodys() -> None:
    made = make_metadata(17, 4)
    for forged in (
        "18" + made[2:],
        made.replace(".4.", ".5."),
        made[:-1] + ("A" if made[-1] != "A" else "B"),
        made[:-1],
    ):
        assert read_metadata(forged) is None


@pytest.mark.parametrize(
    "text", ["", ".", "..", "1.2", "1.2.", "a.b.c", "1.2.é", "１.２.x", "-1.2.x", "1" * 40 + ".2.x"]
)
def test_what_others_write_is_nobodys(text: str) -> None:
    assert read_metadata(text) is None


@given(st.text(max_size=60))
def test_reading_never_raises(text: str) -> None:
    assert read_metadata(text) is None


def test_what_was_sent_before_a_change_of_keys_is_still_ours(set_environment: Callable[..., None]) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    set_environment(DULY_ENCRYPTION_KEY=old)
    made = make_metadata(1, 2)
    set_environment(DULY_ENCRYPTION_KEY=f"{new},{old}")
    assert read_metadata(made) == (1, 2)
    assert make_metadata(1, 2) != made
    set_environment(DULY_ENCRYPTION_KEY=new)
    assert read_metadata(made) is None
