"""How a policy that meets one person is shown: every text with its words, its source, and how sure that is."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from policies.effective import Effective, Law, Text
from policies.terms import duration


class UpcomingView(BaseModel):
    """Something known to change on a date."""

    on: date
    what: str
    source: str


class DutyView(BaseModel):
    """What a jurisdiction's law asks of whoever sends there: told, not enforced."""

    id: str
    since: date
    what: str = Field(description="What to do.")
    citation: str
    confidence: str


class LawView(BaseModel):
    """A jurisdiction that is the person's."""

    code: str
    name: str | None
    has_pack: bool = Field(description="false: nobody wrote down its law, so nothing of it binds.")
    as_of: date | None = Field(description="The age of what was read.")
    reviewed_on: date | None
    confidence: str | None
    note: str | None
    upcoming: list[UpcomingView]
    duties: list[DutyView]


class TextView(BaseModel):
    """A text that can decide."""

    id: str = Field(
        description="As in a finding's clause: permitted_hours.house, KR.kr-night, platform.standard_window."
    )
    rule: str
    categories: list[str] = Field(description="The categories that it binds, or serves.")
    words: str
    holds: bool = Field(description="false: a ground that does not reach this country, or not on this date.")
    basis: str | None = Field(description="house, platform, or a pack's: statute, regulation, carrier_rule, …")
    jurisdiction: str | None
    citation: str | None
    checked: str | None
    confidence: str | None
    channels: list[str] = Field(description="What the text legally covers.")
    app_messages: str | None = Field(description="Whether it legally reaches messages in an app.")
    sources: list[str]
    note: str | None


class EffectiveView(BaseModel):
    """A policy as it meets one person."""

    policy: str
    version: str
    mode: str = Field(description="Which jurisdictions' texts bind: courtesy, legal, off.")
    consent: str
    margin: str
    zones: list[str] = Field(description="Candidate zones: what is permitted is permitted in all of them.")
    evidence: str = Field(description="What names the zones.")
    jurisdictions: list[LawView]
    binding: list[TextView]
    not_binding: list[TextView] = Field(description="Known, and not binding under this policy.")


def effective_view(found: Effective) -> EffectiveView:
    """What may be shown of it: all."""
    return EffectiveView(
        policy=found.policy.name,
        version=found.policy.version,
        mode=found.policy.jurisdictions,
        consent=found.policy.consent,
        margin=duration(found.policy.margin),
        zones=list(found.zones),
        evidence=found.evidence,
        jurisdictions=[_law(each) for each in found.laws],
        binding=[_text(each) for each in found.texts],
        not_binding=[_text(each) for each in found.not_binding],
    )


def _law(law: Law) -> LawView:
    pack = law.pack
    return LawView(
        code=law.code,
        name=pack.name if pack else None,
        has_pack=pack is not None,
        as_of=pack.as_of if pack else None,
        reviewed_on=pack.reviewed_on if pack else None,
        confidence=pack.confidence if pack else None,
        note=pack.note or None if pack else None,
        upcoming=[
            UpcomingView(on=each.on, what=each.what, source=each.source) for each in (pack.upcoming if pack else ())
        ],
        duties=[
            DutyView(
                id=each.id,
                since=each.since,
                what=each.what,
                citation=each.source.citation,
                confidence=each.source.confidence,
            )
            for each in (pack.duties if pack else ())
        ],
    )


def _text(text: Text) -> TextView:
    clause, source = text.clause, text.source
    return TextView(
        id=clause.id,
        rule=clause.rule,
        categories=list(text.categories),
        words=clause.words,
        holds=text.holds,
        basis=clause.basis,
        jurisdiction=clause.jurisdiction,
        citation=clause.citation,
        checked=source.checked if source else None,
        confidence=source.confidence if source else None,
        channels=list(source.channels) if source else [],
        app_messages=source.app_messages if source else None,
        sources=list(source.urls) if source else [],
        note=source.note or None if source else None,
    )
