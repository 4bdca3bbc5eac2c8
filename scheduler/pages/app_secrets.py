"""The secrets of the apps that sign webhooks: two of an app while one takes the other's place.

The new one is added here as soon as the platform has it; both verify until the old one is retired, so that webhooks
signed before the change, and delivered again after it, are not lost. Requests of ours are proven with the old one until
the platform refuses that: a secret that was mistyped is taken back before it has stopped anything.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.audit.record import record
from scheduler.clock import real_seconds
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.logs import get_logger
from scheduler.pages.credentials import check_app_secret
from scheduler.pages.registry import unsealed_of_app
from scheduler.pages.tables import App
from scheduler.store.secrets import seal

_log = get_logger(__name__)

#: Real seconds for which requests that were proven before a turn may still be answered.
_ON_THEIR_WAY = 15.0

_TURN = text("""
    UPDATE app SET proves_with_previous = NOT proves_with_previous, proof_turned_at = :now
    WHERE id = (SELECT app_id FROM page WHERE id = :page) AND previous_secret_sealed IS NOT NULL
        AND proof_turned_at IS NULL
    RETURNING id, external_id, proves_with_previous
""")
_TURNED_LATELY = text("""
    SELECT 1 FROM app JOIN page ON page.app_id = app.id WHERE page.id = :page AND app.proof_turned_at > :lately
""")
_SECRETS = text("SELECT id, secret_sealed, previous_secret_sealed FROM app ORDER BY id")


def webhook_secrets(session: Session) -> list[tuple[int, bytes | None]]:
    """(app row's id, secret) of every secret that may sign a webhook: what signatures are checked against.

    None where it was sealed with a key that is not here (logged): one app's lost key must not silence the others.
    """
    found = []
    for row in session.connection().execute(_SECRETS):
        found.append((row.id, unsealed_of_app(row.id, row.secret_sealed)))
        if row.previous_secret_sealed is not None:
            found.append((row.id, unsealed_of_app(row.id, row.previous_secret_sealed)))
    return found


def list_apps(session: Session) -> list[App]:
    """All apps, oldest first."""
    return list(session.exec(select(App).order_by(col(App.id))).all())


def add_secret(session: Session, external_id: str, secret: str, *, actor: str, now: int) -> App:
    """Give the app a new secret; the one before it goes on verifying until ``retire_secret``.

    Raises NotFound; Conflict when the one before is not retired yet, Invalid when the secret is none or the same.
    """
    app = _locked(session, external_id)
    secret = check_app_secret(secret, field="secret")
    if unsealed_of_app(app.id or 0, app.secret_sealed) == secret.encode():
        raise Invalid("the app has this secret already", field="secret", way_out="reset it on the platform first")
    if app.previous_secret_sealed is not None:
        raise Conflict(
            f"app `{external_id}` has two secrets already", field="secret", way_out="retire the older one first"
        )
    app.previous_secret_sealed = app.secret_sealed
    app.secret_sealed = seal(secret)
    app.secret_changed_at = now
    app.proves_with_previous, app.proof_turned_at = True, None
    return _kept(session, app, "app.add_secret", actor, now)


def retire_secret(session: Session, external_id: str, *, actor: str, now: int) -> App:
    """Let the app's older secret verify nothing any more. Raises NotFound, Conflict when there is only one."""
    app = _locked(session, external_id)
    if app.previous_secret_sealed is None:
        raise Conflict(f"app `{external_id}` has one secret alone", field="app", way_out="add the new one first")
    app.previous_secret_sealed = None
    app.proves_with_previous, app.proof_turned_at = False, None
    return _kept(session, app, "app.retire_secret", actor, now)


def undo_secret(session: Session, external_id: str, *, actor: str, now: int) -> App:
    """Take back the secret that was added last: the one before it is the app's again, alone.

    Raises NotFound, Conflict when there is only one.
    """
    app = _locked(session, external_id)
    if app.previous_secret_sealed is None:
        raise Conflict(
            f"app `{external_id}` has one secret alone", field="app", way_out="there is nothing to take back"
        )
    app.secret_sealed, app.previous_secret_sealed = app.previous_secret_sealed, None
    app.proves_with_previous, app.proof_turned_at = False, None
    app.secret_changed_at = now
    return _kept(session, app, "app.undo_secret", actor, now)


def turn_proof(session: Session, page_id: int, now: int) -> bool:
    """The platform refused a proof of the page's app: prove with the app's other secret from now on.

    Once for each change of the secret. False where there is no other, or it was refused before: then the page has to
    stop. What was on its way with the refused one when the other was taken is refused too, and changes nothing.
    """
    values = {"page": page_id, "now": now, "lately": now - real_seconds(_ON_THEIR_WAY)}
    turned = session.connection().execute(_TURN, values).first()
    if turned is not None:
        _log.warning("app_proof_turned", app=turned.id, with_previous=turned.proves_with_previous)
        record(
            session, actor="deliver", action="app.turn_proof", subject=f"app:{turned.external_id}",
            detail={"with_previous": turned.proves_with_previous}, now=now,
        )  # fmt: skip
        return True
    return session.connection().execute(_TURNED_LATELY, values).first() is not None


def _locked(session: Session, external_id: str) -> App:
    found = None
    if "\x00" not in external_id:
        chosen = select(App).where(App.external_id == external_id).with_for_update(key_share=True)
        found = session.exec(chosen.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound(f"app `{external_id[:64]}` is not registered", field="app", way_out="`duly app list` shows all")
    return found


def _kept(session: Session, app: App, action: str, actor: str, now: int) -> App:
    session.add(app)
    session.flush()
    record(session, actor=actor, action=action, subject=f"app:{app.external_id}", detail={}, now=now)
    return app
