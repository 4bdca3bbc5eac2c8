"""Policies by page and by version, parsed once a process: a version's document never changes."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import Policy, parse_policy
from scheduler.errors import NotFound

#: Version → policy. A business activates a handful in its life.
_parsed: dict[str, Policy] = {}

_ACTIVE = text("""
    SELECT wanted.id AS page_id, newest.version
    FROM unnest(CAST(:ids AS integer[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT version FROM policy_activation WHERE page_id = wanted.id ORDER BY id DESC LIMIT 1
    ) newest
""")
_DOCUMENTS = text("SELECT version, document FROM policy_version WHERE version = ANY(:versions)")


def active_policies(session: Session, page_ids: Collection[int]) -> dict[int, Policy]:
    """The active policy of each of these pages: page id → policy.

    A page for which none was activated is left out: whoever decides for it denies with ``rule_error``.
    """
    session.flush()
    rows = session.connection().execute(_ACTIVE, {"ids": list(page_ids)}).all()
    policies = policies_by_version(session, {row.version for row in rows})
    return {row.page_id: policies[row.version] for row in rows}


def policies_by_version(session: Session, versions: Collection[str]) -> dict[str, Policy]:
    """The policies that were activated under these versions, as they read then. Unknown versions are left out."""
    missing = [version for version in versions if version not in _parsed]
    if missing:
        for row in session.connection().execute(_DOCUMENTS, {"versions": missing}):
            _parsed[row.version] = parse_policy(row.document, where=f"policy version {row.version[:12]}")
    return {version: _parsed[version] for version in versions if version in _parsed}


def policy_by_version(session: Session, version: str) -> Policy:
    """One policy by its version, or by the start of it. Raises NotFound."""
    found = policies_by_version(session, [version])
    if version not in found:
        raise NotFound(f"no policy of version `{version[:64]}` was ever active", field="policy_version")
    return found[version]
