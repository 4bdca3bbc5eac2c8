from __future__ import annotations

from scheduler.inbox.known_pages import KnownPages


def test_only_what_was_found_is_known() -> None:
    pages = KnownPages(lambda: 100.0)
    assert pages.all_of({(1, "a")}) is None
    pages.keep({(1, "a"): 7})
    pages.keep({(1, "b"): 8})
    assert pages.all_of({(1, "a"), (1, "b")}) == {(1, "a"): 7, (1, "b"): 8}
    # Another app's page of the same name, and one that nobody registered, are looked up.
    assert pages.all_of({(2, "a")}) is None
    assert pages.all_of({(1, "a"), (1, "c")}) is None


def test_what_was_found_is_looked_up_again_after_a_moment() -> None:
    present = 100.0
    pages = KnownPages(lambda: present)
    pages.keep({(1, "a"): 7})
    present += 0.9
    # What else is found meanwhile does not prolong it.
    pages.keep({(1, "b"): 8})
    assert pages.all_of({(1, "a")}) is not None
    present += 0.2
    assert pages.all_of({(1, "a")}) is None
    pages.keep({(1, "b"): 8})
    assert pages.all_of({(1, "a")}) is None
    assert pages.all_of({(1, "b")}) is not None
