"""What a policy document says without meaning it, or means without effect; and what is about to change under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from policies.lint import caps, dates, hours, limits, settings
from policies.lint.directives import accepted, read_directives
from policies.lint.remark import LEVELS, Remark, Subject
from policies.lint.tags import check_tags
from policies.local_time import zone_names
from policies.policy import BUILT_IN, Policy, PolicyError, load_policy, parse_policy
from policies.toml_source import Table, read_toml

__all__ = ["LEVELS", "Remark", "lint"]

_NO_ZONE = re.compile(r"`([^`]+)` is not an IANA time zone")


def lint(text: str, where: str, *, today: date, within: int = 90, places: frozenset[str] | None = None) -> list[Remark]:
    """Every remark on the document, by line, those that it accepts with the reason. Dates within so many days of
    ``today`` are about to come.

    ``places`` are the countries and regions in which the policy's people are, instead of those that the document names:
    the laws of others are left out.

    A document that cannot be read as a policy has one error of the kind ``unreadable`` or ``unknown_zone``, beside the
    tags that it names. A relative ``extends`` is looked for beside ``where``.
    """
    remarks = list(check_tags(text, where))
    try:
        policy = parse_policy(text, where=where)
    except PolicyError as error:
        return [*remarks, _unreadable(error)]
    told = read_directives(text, where)
    document = read_toml(text, where=where)
    subject = Subject(
        text=text, where=where, document=document, policy=policy, base=_base(document.table("policy"), where),
        today=today, within=within, places=told.places if places is None else places,
    )  # fmt: skip
    remarks += _checked(subject)
    remarks = [*accepted(remarks, told, where), *told.remarks]
    return sorted(remarks, key=lambda remark: (remark.line, LEVELS.index(remark.level), remark.message))


def _checked(subject: Subject) -> Iterator[Remark]:
    for part in (hours, caps, limits, settings, dates):
        yield from part.check(subject)


def _unreadable(error: PolicyError) -> Remark:
    kind, message = "unreadable", error.message
    if found := _NO_ZONE.search(message):
        kind = "unknown_zone"
        if near := get_close_matches(found[1], zone_names(), n=1, cutoff=0.6):
            message += f"; did you mean {near[0]}?"
    return Remark(where=error.where, line=error.line, key=error.key, level="error", kind=kind, message=message)


def _base(about: Table | None, where: str) -> Policy | None:
    extends = about.text("extends", "") if about is not None else ""
    if not extends:
        return None
    return load_policy(extends if extends in BUILT_IN else Path(where).parent / extends)
