"""Keys to the REST API: shown once, kept only as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets

from sqlalchemy import text
from sqlmodel import Session, col, select

from scheduler.access.tables import ApiKey
from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid, NotFound

PREFIX = "duly_"

#: Enough of a key to tell it from others, far too little to use it.
_SHOWN = len(PREFIX) + 6

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def create_key(session: Session, name: str, *, now: int, actor: str = "operator") -> str:
    """Make a key called ``name`` and return it; it cannot be read again. Raises Invalid, Conflict."""
    if _NAME.fullmatch(name) is None:
        raise Invalid(
            f"`{name[:64]!s}` cannot be a key's name",
            field="name",
            way_out="use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    if session.exec(select(ApiKey).where(ApiKey.name == name)).first() is not None:
        raise Conflict(
            f"there is a key named `{name}` already",
            field="name",
            way_out="choose another name; revoked names stay taken",
        )
    key = PREFIX + secrets.token_urlsafe(32)
    session.add(ApiKey(name=name, prefix=key[:_SHOWN], sha256=_hash(key), created_at=now))
    session.flush()
    record(session, actor=actor, action="key.create", subject=f"key:{name}", detail={"prefix": key[:_SHOWN]}, now=now)
    return key


def verify_key(session: Session, presented: str) -> str | None:
    """The name of the key that was presented, or None when it is unknown or revoked.

    The look-up is by hash: how long it takes tells nothing about any key.
    """
    if not presented.startswith(PREFIX) or len(presented) > 200:
        return None
    statement = select(ApiKey.name).where(ApiKey.sha256 == _hash(presented), col(ApiKey.revoked_at).is_(None))
    return session.exec(statement).first()


def list_keys(session: Session) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return list(session.exec(select(ApiKey).order_by(col(ApiKey.id))).all())


def revoke_key(session: Session, name: str, *, now: int, actor: str = "operator") -> None:
    """Make the key called ``name`` useless from now on. Raises NotFound."""
    revoked = session.connection().execute(
        text("UPDATE api_key SET revoked_at = coalesce(revoked_at, :now) WHERE name = :name RETURNING id"),
        {"name": name, "now": now},
    )
    if revoked.first() is None:
        raise NotFound(f"there is no key named `{name}`", field="name", way_out="`duly key list` shows all")
    record(session, actor=actor, action="key.revoke", subject=f"key:{name}", detail={}, now=now)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
