"""Keys for keyed hashes that outlive every encryption key: they lie sealed in the database, and are sealed anew.

A hash cannot be made anew when the key is changed, because what was hashed is not kept. So the key of a hash is not the
encryption key's child for ever: it is taken from it once, and kept.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.store.database import make_engine
from scheduler.store.direct import fetch
from scheduler.store.secrets import derived_keys, seal, unseal

_FIND = text("SELECT sealed FROM stable_key WHERE purpose = :purpose")
_KEEP = text("INSERT INTO stable_key (purpose, sealed) VALUES (:purpose, :sealed) ON CONFLICT (purpose) DO NOTHING")

#: (address of the database, purpose) → key. It never changes.
_known: dict[tuple[str, str], bytes] = {}


def stable_key(session: Session, purpose: str) -> bytes | None:
    """The key for ``purpose``; None when none was ever wanted. One statement the first time, none afterwards."""
    place = (_address(session), purpose)
    if place in _known:
        return _known[place]
    rows = fetch(session, _FIND, {"purpose": purpose})
    if not rows:
        return None
    row = rows[0]
    _known[place] = unseal(row.sealed)
    return _known[place]


def ensure_stable_key(session: Session, purpose: str) -> bytes:
    """``stable_key``, made if there is none, in a transaction of its own: of two who make it at once, one does.

    In the caller's it would be a row that others wait for, while the caller waits for them.
    """
    found = stable_key(session, purpose)
    if found is None:
        # From the encryption key as it is, so that hashes that were made with that are found with this.
        made = derived_keys(purpose)[0]
        own = make_engine(session.connection().engine.url.render_as_string(hide_password=False), pool_size=1)
        try:
            with own.begin() as connection:
                connection.execute(_KEEP, {"purpose": purpose, "sealed": seal(made)})
        finally:
            own.dispose()
        found = stable_key(session, purpose)
        assert found is not None  # kept here or by whoever was faster
    return found


def _address(session: Session) -> str:
    url = session.connection().engine.url
    return f"{url.host}:{url.port}{sorted(url.query.items())}/{url.database}"
