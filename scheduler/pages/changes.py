"""Changes to a page: mode, rate, token, allow-list. Whether it may send at all is in ``stops.py``.

Each locks the page's row first. What may permit more wakes the page's messages.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from scheduler import throttle_state
from scheduler.audit.record import record
from scheduler.contacts.psids import is_addressable
from scheduler.errors import Invalid, NotFound
from scheduler.outbox.wake import wait_for_deciders, wake_page
from scheduler.pages.credentials import check_page_token
from scheduler.pages.registry import check_mode, check_rate
from scheduler.pages.stops import restore_page
from scheduler.pages.tables import Page
from scheduler.store.secrets import seal

#: People on an allow-list: it is shown whole.
MOST_ALLOWED = 10_000

_LOCK = text("SELECT external_id FROM page WHERE id = :id FOR NO KEY UPDATE")


def set_mode(session: Session, page: Page, mode: str, *, actor: str, now: int) -> None:
    """Let the page send to everybody policy permits (``live``) or to its allow-list only (``test``)."""
    page_id = _lock(session, page)
    page.mode = check_mode(mode)
    _keep(session, page, actor, "page.mode", {"mode": mode}, now)
    wake_page(session, page_id, now)


def set_rate(session: Session, page: Page, rate: int, *, actor: str, now: int) -> None:
    """Let the page send ``rate`` messages a second at most, over all workers."""
    _lock(session, page)
    page.rate = check_rate(rate)
    _keep(session, page, actor, "page.rate", {"rate": rate}, now)


def set_token(session: Session, page: Page, token: str, *, actor: str, now: int) -> None:
    """Give the page a new access token. It ends a stop: the next refusal would stop the page again."""
    page_id = _lock(session, page)
    page.token_sealed = seal(check_page_token(token))
    _keep(session, page, actor, "page.token", {}, now)
    restore_page(session, page_id, now=now, actor=actor)


def set_marketing(
    session: Session, page: Page, ad_account_id: str | None, message_campaign_id: str | None, *, actor: str, now: int
) -> None:
    """Let the page send paid marketing messages through an ad account and a message campaign in it; None twice: none.

    Without them tokens for such messages give no ground. Raises Invalid for one without the other, and for no id.
    """
    page_id = _lock(session, page)
    if (ad_account_id is None) != (message_campaign_id is None):
        raise Invalid(
            "an ad account and a message campaign go together",
            field="ad_account_id",
            way_out="give both ids, or neither to end it",
        )
    for field, given in (("ad_account_id", ad_account_id), ("message_campaign_id", message_campaign_id)):
        if given is not None and not (given.isascii() and given.isdigit() and len(given) <= 32):
            raise Invalid(
                f"`{given[:64]}` is not an id of the platform", field=field,
                way_out="copy the digits from the platform, without `act_`",
            )  # fmt: skip
    page.ad_account_id, page.message_campaign_id = ad_account_id, message_campaign_id
    _keep(
        session, page, actor, "page.marketing",
        {"ad_account": ad_account_id, "message_campaign": message_campaign_id}, now,
    )  # fmt: skip
    if ad_account_id is not None:
        wake_page(session, page_id, now)
    else:
        wait_for_deciders(session)


def end_wait(session: Session, page: Page, *, actor: str, now: int) -> bool:
    """Let a page that the platform made wait (throttled) send again now. False when it did not wait.

    Raises Unavailable without Redis, which keeps the wait.
    """
    assert page.id is not None  # a stored page has its id
    if not throttle_state.end_wait(page.id):
        return False
    _keep(session, page, actor, "page.end_wait", {}, now)
    return True


def allow(session: Session, page: Page, psids: Collection[str], *, actor: str, now: int) -> list[str]:
    """Add people to the allow-list of mode ``test``. Returns those who were not on it before.

    Raises Invalid for what is no id, and where the list would have more than ``MOST_ALLOWED``.
    """
    odd = next((psid for psid in psids if not is_addressable(psid)), None)
    if odd is not None:
        raise Invalid(f"`{odd[:64]}` is not a page-scoped id", field="allow", way_out="give it as the platform gave it")
    page_id = _lock(session, page)
    rows = session.connection().execute(
        text(
            "INSERT INTO page_allowed (page_id, psid) SELECT :page_id, unnest(CAST(:psids AS text[])) "
            "ON CONFLICT DO NOTHING RETURNING psid"
        ),
        {"page_id": page_id, "psids": sorted(set(psids))},
    )
    added = sorted(row.psid for row in rows)
    if added and len(allowed(session, page)) > MOST_ALLOWED:
        raise Invalid(
            f"the list would have more than {MOST_ALLOWED} people", field="allow",
            way_out="it is for trying things out: take some off, or set mode live",
        )  # fmt: skip
    if added:
        _keep(session, page, actor, "page.allow", {"count": len(added)}, now)
        wake_page(session, page_id, now)
    return added


def disallow(session: Session, page: Page, psids: Collection[str], *, actor: str, now: int) -> list[str]:
    """Take people off the allow-list. Returns those who were on it."""
    page_id = _lock(session, page)
    rows = session.connection().execute(
        text("DELETE FROM page_allowed WHERE page_id = :page_id AND psid = ANY(:psids) RETURNING psid"),
        {"page_id": page_id, "psids": sorted(set(psids))},
    )
    removed = sorted(row.psid for row in rows)
    if removed:
        _keep(session, page, actor, "page.disallow", {"count": len(removed)}, now)
        wait_for_deciders(session)
    return removed


def forget_allowed(session: Session, page_id: int, psids: Collection[str]) -> int:
    """Take people off the allow-list because their data is erased; returns how many were on it. Nobody is named."""
    gone = session.connection().execute(
        text("DELETE FROM page_allowed WHERE page_id = :page_id AND psid = ANY(CAST(:psids AS text[]))"),
        {"page_id": page_id, "psids": sorted(set(psids))},
    )
    return gone.rowcount


def allowed(session: Session, page: Page) -> list[str]:
    """The allow-list of a page."""
    rows = session.connection().execute(
        text("SELECT psid FROM page_allowed WHERE page_id = :page_id ORDER BY psid"), {"page_id": page.id}
    )
    return [row.psid for row in rows]


def _keep(session: Session, page: Page, actor: str, action: str, detail: dict[str, object], now: int) -> None:
    session.add(page)
    session.flush()
    record(session, actor=actor, action=action, subject=f"page:{page.external_id}", detail=detail, now=now)


def _lock(session: Session, page: Page) -> int:
    assert page.id is not None  # a stored page has its id
    _lock_id(session, page.id)
    return page.id


def _lock_id(session: Session, page_id: int) -> str:
    row = session.connection().execute(_LOCK, {"id": page_id}).first()
    if row is None:
        raise NotFound("that page is not registered", way_out="`duly page list` shows all")
    return str(row.external_id)
