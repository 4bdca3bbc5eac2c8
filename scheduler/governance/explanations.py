"""Why a decision came out as it did: recomputed from the facts that were stored with it, under the policy of then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session

from policies.decision import Decision, Finding
from policies.explain import explain
from policies.facts import facts_from_json
from scheduler.governance.active import policies_by_version


def explain_log(
    session: Session, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[Decision, tuple[Finding, ...]] | None]:
    """For each row of a message's log, its decision anew with the findings of every rule; None where none was taken.

    ``rows`` have ``at``, ``facts``, ``policy_version`` and ``guard`` (the send guard of then, seconds) as the log
    stores them. None, too, where the policy of then cannot be read any more.
    """
    versions = {row["policy_version"] for row in rows if row["facts"] is not None and row["policy_version"]}
    policies = policies_by_version(session, versions)
    explained: list[tuple[Decision, tuple[Finding, ...]] | None] = []
    for row in rows:
        policy = policies.get(row["policy_version"])
        if policy is None or row["facts"] is None:
            explained.append(None)
        else:
            guard = row["guard"] or 0
            explained.append(explain(policy, facts_from_json(row["facts"]), row["at"], min_remaining=guard))
    return explained
