"""The policy as it meets one person: which zones and laws are theirs, and every text that can decide about them.

For people to read before anything is sent, and after. What decides is ``decide``; this names what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from policies.case import Case, case_of
from policies.clauses import Clause, clauses
from policies.facts import CATEGORIES, Facts
from policies.grounds.tokens import available
from policies.law import JurisdictionPack, jurisdiction_pack
from policies.policy import Policy
from policies.rules.rule import clause_of
from policies.terms import Cap, Gap, Hours, Source
from policies.wording import entry_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text and where it comes from."""

    clause: Clause
    #: The categories of messages that it binds, or serves.
    categories: tuple[str, ...]
    #: Where a pack's text comes from; None for the house's and the platform's.
    source: Source | None
    #: Whether it holds here and now: a ground may not reach this country, or not on this date.
    holds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """A jurisdiction that is theirs."""

    code: str
    #: None: nobody wrote a pack of it, so nothing of it binds.
    pack: JurisdictionPack | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """A policy as it meets one person at an instant."""

    policy: Policy
    #: Candidate zones: what is permitted is permitted in all of them.
    zones: tuple[str, ...]
    #: What names them: "timezone", "region", "utc_offset", "country", "none", or "fallback".
    evidence: str
    laws: tuple[Law, ...]
    texts: tuple[Text, ...]
    #: Rows of their jurisdictions' packs that do not bind under this policy: for other channels, or switched off.
    not_binding: tuple[Text, ...]


def effective(policy: Policy, facts: Facts, now: int) -> Effective:
    """The policy for whoever these facts are about, at ``now``, epoch seconds UTC.

    Of the facts only those of the place count.
    """
    case = case_of(policy, replace(facts, category="promotional"), now, 0)
    laws = tuple(Law(code=code, pack=jurisdiction_pack(code)) for code in case.binding.jurisdictions)
    rows = {row.clause.id: row for law in laws if law.pack for row in _rows(law.pack)}
    applies = {clause_of(key, entry): entry.applies_to for key, entries in _entries(policy) for entry in entries}
    texts = []
    for clause in clauses(policy, case.binding.jurisdictions):
        row = rows.pop(clause.id, None)
        if row is not None:
            texts.append(replace(row, clause=clause))
        elif clause.basis == "platform":
            texts.append(_ground(case, clause))
        else:
            texts.append(Text(clause=clause, categories=applies.get(clause.id) or _bound(clause), source=None))
    return Effective(
        policy=policy,
        zones=case.binding.zones,
        evidence=case.binding.evidence,
        laws=laws,
        texts=tuple(texts),
        not_binding=tuple(rows.values()),
    )


def _entries(policy: Policy) -> Iterator[tuple[str, tuple[Hours | Cap | Gap, ...]]]:
    yield "permitted_hours", policy.hours
    yield "frequency_cap", policy.caps
    yield "minimum_gap", policy.gaps


def _bound(clause: Clause) -> tuple[str, ...]:
    return ("promotional",) if clause.rule == "consent" else CATEGORIES


def _rows(pack: JurisdictionPack) -> Iterator[Text]:
    for key, rule, entries in (
        ("permitted_hours", "quiet_hours", pack.hours),
        ("frequency_cap", "frequency_cap", pack.caps),
    ):
        for entry in entries:
            assert entry.source is not None  # every row of a pack has one
            yield _row(clause_of(key, entry), rule, entry_words(entry) or "", entry.source)
    if pack.consent is not None:
        words = f"{' or '.join(pack.consent.kinds)} consent"
        yield _row(f"{pack.code}.consent", "consent", words, pack.consent.source)


def _row(id_: str, rule: str, words: str, source: Source) -> Text:
    clause = Clause(
        id=id_, rule=rule, words=words, citation=source.citation, basis=source.basis, jurisdiction=source.jurisdiction
    )
    return Text(clause=clause, categories=("promotional",), source=source)


def _ground(case: Case, clause: Clause) -> Text:
    platform = case.policy.platform
    ground = clause.id.removeprefix("platform.")
    tokens = {
        "marketing_token": platform.marketing,
        "recurring": platform.recurring,
        "one_time_token": platform.one_time,
    }
    if ground == "utility_template":
        return Text(clause=clause, categories=platform.utility_categories, source=None)
    if ground not in tokens:
        return Text(clause=clause, categories=CATEGORIES, source=None)
    stretches = available(case, tokens[ground])
    holds = any(start <= case.now < end for found, _ in stretches for start, end in found)
    return Text(clause=clause, categories=tokens[ground].categories, source=None, holds=holds)
