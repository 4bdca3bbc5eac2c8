"""Pages and the apps that sign their webhooks. Tokens and secrets lie sealed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from sqlalchemy import text
from sqlmodel import Session, col, select

from policies.policy import load_policy
from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid, NotFound, Unavailable
from scheduler.governance.policies import activate_policy
from scheduler.logs import complain, get_logger
from scheduler.pages.credentials import check_app_secret, check_page_token, check_verify_token
from scheduler.pages.tables import App, Page
from scheduler.store.direct import Ask, fetch
from scheduler.store.secrets import seal, unseal

_log = get_logger(__name__)

MODES = ("test", "live")

#: More than 40 messages a second freeze a page's inbox.
HIGHEST_RATE = 39

_DEFAULT_POLICY = "default"

_PROVING = text("""
    SELECT id, CASE WHEN proves_with_previous THEN coalesce(previous_secret_sealed, secret_sealed)
        ELSE secret_sealed END AS sealed
    FROM app ORDER BY id
""")
_BY_EXTERNAL_ID = text(
    "SELECT app_id, external_id, id FROM page WHERE channel = 'messenger' AND external_id = ANY(:ids)"
)
_NAMED = text("SELECT id, external_id FROM page WHERE external_id = ANY(:ids)")
_APPS = text("SELECT page.id, app.external_id FROM app JOIN page ON page.app_id = app.id WHERE page.id = ANY(:ids)")

#: Digits today, never anything that an address could not name: no slash, no space, no `..`.
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}")


def add_page(
    session: Session,
    *,
    app_external_id: str,
    app_secret: str,
    verify_token: str,
    external_id: str,
    name: str,
    token: str,
    mode: str = "test",
    rate: int,
    now: int,
    actor: str = "operator",
) -> Page:
    """Register a page, and its app if it is new, and put the built-in policy ``default`` in force for it.

    Raises Conflict when the page is registered already, or its app with another secret; Invalid with the field.
    """
    check_mode(mode)
    check_rate(rate)
    _check_external_id(external_id, "external_id")
    _check_external_id(app_external_id, "app_external_id")
    token = check_page_token(token)
    app_secret, verify_token = check_app_secret(app_secret), check_verify_token(verify_token)
    app = _ensure_app(session, app_external_id, app_secret, verify_token, now)
    taken = select(Page.id).where(Page.channel == "messenger", Page.external_id == external_id)
    if session.exec(taken).first() is not None:
        raise Conflict(
            f"page `{external_id}` is registered already",
            field="external_id",
            way_out="change its mode, rate, token or allow-list instead",
        )
    page = Page(
        app_id=_id(app.id),
        external_id=external_id,
        name=name,
        mode=mode,
        token_sealed=seal(token),
        rate=rate,
        created_at=now,
    )
    session.add(page)
    session.flush()
    record(
        session,
        actor=actor,
        action="page.add",
        subject=f"page:{external_id}",
        detail={"name": name, "mode": mode, "rate": rate, "app": app_external_id},
        now=now,
    )
    activate_policy(
        session, _id(page.id), load_policy(_DEFAULT_POLICY), actor=actor, why="a new page starts with it", now=now
    )
    return page


def get_page(session: Session, external_id: str) -> Page:
    """The page by the platform's id. Raises NotFound."""
    found = None
    if "\x00" not in external_id:
        found = session.exec(select(Page).where(Page.channel == "messenger", Page.external_id == external_id)).first()
    if found is None:
        raise NotFound(
            f"page `{external_id[:64]}` is not registered", field="page", way_out="`duly page list` shows all"
        )
    return found


def list_pages(session: Session) -> list[Page]:
    """All pages, oldest first."""
    return list(session.exec(select(Page).order_by(col(Page.id))).all())


def page_token(page: Page) -> str:
    """The page's access token, in the clear. For the request it goes into; never log or return it."""
    return _unsealed(bytes(page.token_sealed)).decode()


def app_secret(session: Session, page: Page) -> bytes:
    """The secret that requests for the page are proven with.

    Raises Unavailable when it was sealed with a key that is not here.
    """
    return _unsealed(bytes(_proving(session.get_one(App, page.app_id))))


def app_secrets(session: Session) -> dict[int, bytes | None]:
    """App row's id → the secret that our requests are proven with, of every app.

    None where it was sealed with a key that is not here (logged): one app's lost key must not silence the others.
    """
    rows = session.connection().execute(_PROVING)
    return {row.id: unsealed_of_app(row.id, row.sealed) for row in rows}


def verify_tokens(session: Session) -> list[bytes]:
    """The verify tokens of the apps: what the webhook handshake is checked against. Without those lost (logged)."""
    rows = session.connection().execute(text("SELECT id, verify_token_sealed FROM app ORDER BY id"))
    found = [unsealed_of_app(row.id, row.verify_token_sealed) for row in rows]
    return [each for each in found if each is not None]


def pages_ask(external_ids: Collection[str]) -> Ask:
    """What asks for the pages among ``external_ids``, together with something else; for ``found_pages``."""
    return _BY_EXTERNAL_ID, {"ids": sorted(external_ids)}


def found_pages(rows: Iterable[tuple[int, str, int]]) -> dict[tuple[int, str], int]:
    """(the app whose secret signs their webhooks, platform id) → page id."""
    return {(app_id, external_id): page_id for app_id, external_id, page_id in rows}


def page_ids(session: Session, external_ids: Collection[str]) -> dict[str, int]:
    """The platform's id → ours, of those that are registered."""
    if not external_ids:
        return {}
    return {row.external_id: row.id for row in session.execute(_NAMED, {"ids": sorted(external_ids)})}


def apps_of_pages(session: Session, page_ids: Collection[int]) -> dict[int, str]:
    """The platform's ids of the apps that serve these pages: page id → app."""
    if not page_ids:
        return {}
    rows = fetch(session, _APPS, {"ids": sorted(page_ids)})
    return {row.id: row.external_id for row in rows}


def app_of_page(session: Session, page_id: int) -> str:
    """The platform's id of the app that serves the page."""
    rows = session.connection().execute(
        text("SELECT app.external_id FROM app JOIN page ON page.app_id = app.id WHERE page.id = :id"), {"id": page_id}
    )
    return str(rows.scalar_one())


def check_mode(mode: str) -> str:
    """``mode`` if it is one. Raises Invalid."""
    if mode not in MODES:
        raise Invalid(f"`{mode[:32]}` is not a mode", field="mode", way_out="use test or live")
    return mode


def check_rate(rate: int) -> int:
    """``rate`` if a page may have it. Raises Invalid."""
    if not 1 <= rate <= HIGHEST_RATE:
        raise Invalid(
            f"a page cannot send {rate} messages a second",
            field="rate",
            way_out=f"give 1 to {HIGHEST_RATE}; more than 40 freeze the page's inbox",
        )
    return rate


def _check_external_id(external_id: str, field: str) -> None:
    if _EXTERNAL_ID.fullmatch(external_id) is None:
        raise Invalid(
            f"`{external_id[:64]}` is not an id of the platform",
            field=field,
            way_out="copy the number from the platform's settings",
        )


def _ensure_app(session: Session, external_id: str, secret: str, verify_token: str, now: int) -> App:
    # Made by whoever comes first: pages of one app may be registered at the same time.
    session.connection().execute(
        text(
            "INSERT INTO app (external_id, secret_sealed, verify_token_sealed, created_at) "
            "VALUES (:external_id, :secret, :verify_token, :now) ON CONFLICT (external_id) DO NOTHING"
        ),
        {"external_id": external_id, "secret": seal(secret), "verify_token": seal(verify_token), "now": now},
    )
    app = session.exec(select(App).where(App.external_id == external_id)).one()
    # While one secret takes another's place, either is the app's.
    sealed = [each for each in (app.secret_sealed, app.previous_secret_sealed) if each is not None]
    same = secret.encode() in map(unseal, sealed) and unseal(app.verify_token_sealed) == verify_token.encode()
    if not same:
        raise Conflict(
            f"app `{external_id}` is registered with another secret or verify token",
            field="app_secret",
            way_out="give the ones its other pages were registered with",
        )
    return app


def _proving(app: App) -> bytes:
    older = app.previous_secret_sealed
    return older if app.proves_with_previous and older is not None else app.secret_sealed


def unsealed_of_app(app_id: int, sealed: bytes) -> bytes | None:
    """A secret of an app, in the clear; None, and a complaint in the log, when its key is not here."""
    try:
        return _unsealed(bytes(sealed))
    except Unavailable as error:
        complain(_log, "app_secret_unreadable", app_id, app=app_id, way_out=error.way_out)
        return None


@lru_cache(maxsize=256)
def _unsealed(sealed: bytes) -> bytes:
    # Unsealing costs more than the signature it serves; what is kept is what this process could unseal anyway.
    return unseal(sealed)


def _id(value: int | None) -> int:
    assert value is not None  # a flushed row has its id
    return value
