"""How far the laws of somebody's place make an opt-out reach, at least."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from policies.facts import Facts
from policies.law import jurisdiction_pack
from policies.law_terms import SCOPES, OptOutLaw
from policies.places import place_of


def opt_out_laws(timezones: Sequence[str] | None, country: str | None, region: str | None) -> list[OptOutLaw]:
    """What the jurisdictions of a place say about opting out; empty where none is known to say anything."""
    facts = Facts(timezones=tuple(timezones or ()), country=country, region=region)
    packs = [jurisdiction_pack(code) for code in place_of(facts).jurisdictions]
    return [pack.opt_out for pack in packs if pack is not None and pack.opt_out is not None]


def floor_of(laws: Sequence[OptOutLaw], at: int) -> str | None:
    """The widest scope that any of these laws asks for at an instant; None: nobody knows."""
    day = datetime.fromtimestamp(at, UTC).date()
    return min((law.scope_on(day) for law in laws), key=SCOPES.index, default=None)
