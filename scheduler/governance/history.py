"""Which policies a page had, who activated them and why; and every version that ever decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid, NotFound

_COLUMNS = "a.id, a.version, v.name, a.actor, a.why, a.activated_at"
_IN_FORCE = text(f"""
    SELECT {_COLUMNS}, NULL AS previous
    FROM policy_activation a JOIN policy_version v USING (version) WHERE a.page_id = :page ORDER BY a.id DESC LIMIT 1
""")  # noqa: S608 - constants only
_HISTORY = text(f"""
    SELECT {_COLUMNS}, (
        SELECT b.version FROM policy_activation b WHERE b.page_id = a.page_id AND b.id < a.id ORDER BY b.id DESC LIMIT 1
    ) AS previous
    FROM policy_activation a JOIN policy_version v USING (version)
    WHERE a.page_id = :page AND (CAST(:before AS bigint) IS NULL OR a.id < :before)
    ORDER BY a.id DESC LIMIT :limit
""")  # noqa: S608 - constants only
# Which pages have a version now: the newest activation of each page, one look into the index a page.
_PAGES = """
    SELECT newest.version, array_agg(p.external_id ORDER BY p.id) AS pages
    FROM page p CROSS JOIN LATERAL (
        SELECT version FROM policy_activation WHERE page_id = p.id ORDER BY id DESC LIMIT 1
    ) newest GROUP BY newest.version
"""
_VERSIONS = text(f"""
    SELECT v.version, v.name, v.created_at, coalesce(n.pages, '{{}}') AS pages
    FROM policy_version v LEFT JOIN ({_PAGES}) n USING (version)
    WHERE CAST(:at AS bigint) IS NULL OR (v.created_at, v.version) < (:at, :version)
    ORDER BY v.created_at DESC, v.version DESC LIMIT :limit
""")  # noqa: S608 - constants only
_VERSION = text(f"""
    SELECT v.version, v.name, v.created_at, v.document, coalesce(n.pages, '{{}}') AS pages
    FROM policy_version v LEFT JOIN ({_PAGES}) n USING (version)
    WHERE v.version LIKE :prefix ORDER BY v.version LIMIT 2
""")  # noqa: S608 - constants only


@dataclass(slots=True, frozen=True, kw_only=True)
class Activation:
    """Somebody let a policy decide for a page."""

    id: int
    version: str
    name: str
    actor: str
    why: str
    #: Epoch seconds UTC.
    activated_at: int
    #: The version before it, in a history; None: it was the first.
    previous: str | None


@dataclass(slots=True, frozen=True, kw_only=True)
class StoredVersion:
    """A policy that decided once."""

    version: str
    name: str
    created_at: int
    #: The platform's ids of the pages that it decides for now.
    pages: tuple[str, ...]
    #: Its canonical form; None in a list.
    document: str | None


def activation_in_force(session: Session, page_id: int) -> Activation | None:
    """The activation that holds for the page; None: nothing was ever activated."""
    session.flush()
    row = session.connection().execute(_IN_FORCE, {"page": page_id}).mappings().first()
    return Activation(**row) if row else None


def history(session: Session, page_id: int, *, limit: int, before: int | None = None) -> list[Activation]:
    """The page's activations, newest first; only those with an id below ``before``."""
    session.flush()
    rows = session.connection().execute(_HISTORY, {"page": page_id, "limit": limit, "before": before})
    return [Activation(**row) for row in rows.mappings()]


def list_versions(session: Session, *, limit: int, before: tuple[int, str] | None = None) -> Sequence[StoredVersion]:
    """Every version that was ever activated, newest first, after the (created_at, version) of ``before``."""
    session.flush()
    at, version = before or (None, "")
    rows = session.connection().execute(_VERSIONS, {"limit": limit, "at": at, "version": version})
    return [
        StoredVersion(
            version=row.version, name=row.name, created_at=row.created_at, pages=tuple(row.pages), document=None
        )
        for row in rows
    ]


def read_version(session: Session, version: str) -> StoredVersion:
    """One version with its document, by its name or its first digits (at least 8).

    Raises Invalid where several begin so, NotFound where none does.
    """
    prefix = version.lower()
    if not 8 <= len(prefix) <= 64 or not set(prefix) <= set("0123456789abcdef"):
        raise Invalid(
            f"`{version[:64]}` is not a version",
            field="version",
            way_out="give the hexadecimal version, or its first 8",
        )
    session.flush()
    rows = session.connection().execute(_VERSION, {"prefix": f"{prefix}%"}).all()
    if not rows:
        raise NotFound(
            f"no policy of version `{version[:64]}` was ever active",
            field="version",
            way_out="`duly policy history` and /api/v1/policies list them",
        )
    if len(rows) > 1:
        raise Invalid(f"several versions begin with `{prefix}`", field="version", way_out="give more of its digits")
    row = rows[0]
    return StoredVersion(
        version=row.version, name=row.name, created_at=row.created_at, pages=tuple(row.pages), document=row.document
    )
