"""Policies by page and by version, parsed once a process: a version's document never changes.

A stored document that this Duly cannot read (a newer one wrote it) stops the pages that it decides for, and no others:
nothing is decided for them, so nothing is denied, until another policy is activated or a Duly that reads it is back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import text
from sqlmodel import Session

from policies.policy import Policy, PolicyError, parse_policy
from scheduler.errors import Conflict, NotFound
from scheduler.logs import complain, get_logger

_log = get_logger(__name__)

_WAY_OUT = "start the version of Duly that wrote it, or a newer one"

#: Version → policy, or why it cannot be read. A business activates a handful in its life.
_parsed: dict[str, Policy | str] = {}

_ACTIVE = text("""
    SELECT wanted.id AS page_id, newest.version
    FROM unnest(CAST(:ids AS integer[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT version FROM policy_activation WHERE page_id = wanted.id ORDER BY id DESC LIMIT 1
    ) newest
""")
_DOCUMENTS = text("SELECT version, document FROM policy_version WHERE version = ANY(:versions)")


@dataclass(slots=True, kw_only=True)
class ActivePolicies:
    """What decides for some pages. A page in neither has no policy: whoever decides denies with ``rule_error``."""

    #: Page id → policy.
    by_page: dict[int, Policy]
    #: Pages whose active policy cannot be read: nothing may be decided for them. Page id → version.
    unreadable: dict[int, str]

    def of(self, page_id: int) -> Policy | None:
        """The page's policy; None: none was ever activated. Raises Conflict when it cannot be read."""
        if page_id in self.unreadable:
            raise _unreadable(self.unreadable[page_id])
        return self.by_page.get(page_id)


def active_policies(session: Session, page_ids: Collection[int]) -> ActivePolicies:
    """The active policies of these pages, and the pages whose policy cannot be read (logged once a minute each)."""
    session.flush()
    rows = session.connection().execute(_ACTIVE, {"ids": list(page_ids)}).all()
    _read(session, {row.version for row in rows})
    found = ActivePolicies(by_page={}, unreadable={})
    for row in rows:
        policy = _parsed[row.version]
        if isinstance(policy, str):
            found.unreadable[row.page_id] = row.version
            why = {"page": row.page_id, "version": row.version, "error": policy, "way_out": _WAY_OUT}
            complain(_log, "policy_unreadable", row.page_id, **why)
        else:
            found.by_page[row.page_id] = policy
    return found


def policies_by_version(session: Session, versions: Collection[str]) -> dict[str, Policy]:
    """The policies that were activated under these versions, as they read then.

    Unknown versions, and those that cannot be read any more, are left out.
    """
    _read(session, versions)
    found = {version: _parsed.get(version) for version in versions}
    return {version: policy for version, policy in found.items() if isinstance(policy, Policy)}


def policy_by_version(session: Session, version: str) -> Policy:
    """One policy by its version. Raises NotFound, or Conflict when it cannot be read."""
    _read(session, [version])
    found = _parsed.get(version)
    if found is None:
        raise NotFound(f"no policy of version `{version[:64]}` was ever active", field="policy_version")
    if isinstance(found, str):
        raise _unreadable(version)
    return found


def _read(session: Session, versions: Collection[str]) -> None:
    missing = [version for version in versions if version not in _parsed]
    if not missing:
        return
    for row in session.connection().execute(_DOCUMENTS, {"versions": missing}):
        try:
            policy = parse_policy(row.document, where=f"policy version {row.version[:12]}")
            _parsed[row.version] = replace(policy, known_as=row.version)
        except PolicyError as error:
            _parsed[row.version] = str(error)


def _unreadable(version: str) -> Conflict:
    return Conflict(f"policy version `{version[:12]}` cannot be read by this Duly", field="policy", way_out=_WAY_OUT)
