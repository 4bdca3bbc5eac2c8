"""Keys for keyed hashes that outlive every encryption key: they lie sealed in the database, and are sealed anew.

A hash cannot be made anew when the key is changed, because what was hashed is not kept. So the key of a hash is not the
encryption key's child for ever: it is taken from it once, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from scheduler.store.database import make_engine
from scheduler.store.direct import Ask, fetch
from scheduler.store.secrets import derived_keys, seal, unseal

_FIND = text("SELECT sealed FROM stable_key WHERE purpose = :purpose")
_KEEP = text("INSERT INTO stable_key (purpose, sealed) VALUES (:purpose, :sealed) ON CONFLICT (purpose) DO NOTHING")

#: (address of the database, purpose) → key. It never changes.
_known: dict[tuple[str, str], bytes] = {}


def stable_key(session: Session, purpose: str) -> bytes | None:
    """The key for ``purpose``; None when none was ever wanted. One statement the first time, none afterwards."""
    asked = stable_key_ask(session, purpose)
    return found_stable_key(session, purpose, fetch(session, *asked) if asked is not None else ())


def stable_key_ask(session: Session, purpose: str) -> Ask | None:
    """What ``stable_key`` asks, for whoever asks it together with something else; None: it is known already."""
    return None if (_address(session), purpose) in _known else (_FIND, {"purpose": purpose})


def found_stable_key(session: Session, purpose: str, rows: Sequence[Any]) -> bytes | None:
    """What ``stable_key`` makes of the answer."""
    place = (_address(session), purpose)
    if rows:
        _known[place] = unseal(rows[0].sealed)
    return _known.get(place)


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
