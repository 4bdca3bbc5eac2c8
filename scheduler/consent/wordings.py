"""The texts that people agreed to, each version once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from scheduler.errors import Invalid, NotFound

#: Whoever writes this before a version means a text that is kept already.
_BY_VERSION = "sha256:"
_LONGEST = 10_000

_KEEP = text("""
    INSERT INTO consent_wording (version, locale, text, created_at)
    SELECT version, '', text, :now
    FROM unnest(CAST(:versions AS text[]), CAST(:texts AS text[])) AS given (version, text)
    ORDER BY version ON CONFLICT (version, locale) DO NOTHING
""")
_FIND = text("SELECT version, min(id) AS id FROM consent_wording WHERE version = ANY(:versions) GROUP BY version")


def version_of(wording: str) -> str:
    """The version of a text: the SHA-256 of its UTF-8, in hex."""
    return hashlib.sha256(wording.encode()).hexdigest()


def keep_wordings(session: Session, wordings: Collection[str], now: int) -> dict[str, int]:
    """The ids of these texts, kept where they were not: as given → id.

    One given as ``sha256:<version>`` must be kept already; raises NotFound otherwise, and Invalid for one that is
    empty or longer than 10,000 characters.
    """
    versions: dict[str, str] = {}
    for wording in wordings:
        if not wording.strip() or len(wording) > _LONGEST or "\x00" in wording:
            raise Invalid(
                "the wording that the person read is missing", field="wording",
                way_out=f"give its text, {_LONGEST} characters at most, or `{_BY_VERSION}…` of one that is kept",
            )  # fmt: skip
        named = wording.startswith(_BY_VERSION)
        versions[wording] = wording.removeprefix(_BY_VERSION) if named else version_of(wording)
    if not versions:
        return {}
    connection = session.connection()
    new = {version: given for given, version in versions.items() if not given.startswith(_BY_VERSION)}
    if new:
        connection.execute(_KEEP, {"versions": list(new), "texts": list(new.values()), "now": now})
    rows = connection.execute(_FIND, {"versions": sorted(set(versions.values()))})
    found = {row.version: row.id for row in rows}
    for version in versions.values():
        if version not in found:
            raise NotFound(
                f"no wording with the version `{version[:64]}` is kept", field="wording", way_out="give its text"
            )
    return {given: found[version] for given, version in versions.items()}
