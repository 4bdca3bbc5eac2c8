"""Keys for keyed hashes that outlive every encryption key: they lie sealed in the database, and are sealed anew.

A hash cannot be made anew when the key is changed, because what was hashed is not kept. So the key of a hash is not the
encryption key's child for ever: it is taken from it once, and kept.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from scheduler.store.secrets import derived_keys, seal, unseal

# Whether this transaction made it: then nobody else may go by it before it is committed.
_FIND = text("""
    SELECT sealed, coalesce(xmin = pg_current_xact_id_if_assigned()::xid, false) AS fresh FROM stable_key
    WHERE purpose = :purpose
""")
_KEEP = text("INSERT INTO stable_key (purpose, sealed) VALUES (:purpose, :sealed) ON CONFLICT (purpose) DO NOTHING")

#: (address of the database, purpose) → key. It never changes.
_known: dict[tuple[str, str], bytes] = {}


def stable_key(session: Session, purpose: str) -> bytes | None:
    """The key for ``purpose``; None when none was ever wanted. One statement the first time, none afterwards."""
    place = (_address(session), purpose)
    if place in _known:
        return _known[place]
    row = session.connection().execute(_FIND, {"purpose": purpose}).first()
    if row is None:
        return None
    key = unseal(row.sealed)
    if not row.fresh:
        _known[place] = key
    return key


def ensure_stable_key(session: Session, purpose: str) -> bytes:
    """``stable_key``, made if there is none: of two who make it at once, the second goes by the first's."""
    found = stable_key(session, purpose)
    if found is None:
        # From the encryption key as it is, so that hashes that were made with that are found with this.
        made = derived_keys(purpose)[0]
        session.connection().execute(_KEEP, {"purpose": purpose, "sealed": seal(made)})
        found = stable_key(session, purpose)
        assert found is not None  # kept here or by whoever was faster
    return found


def _address(session: Session) -> str:
    url = session.connection().engine.url
    return f"{url.host}:{url.port}{sorted(url.query.items())}/{url.database}"
