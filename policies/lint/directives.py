"""What a document tells lint itself, in comments: which remarks are accepted, and where its people are.

    # lint: allow no_cap, short because the test page has one person on its list
    # lint: people in DE, AT, CH

An ``allow`` at the end of a line counts for that line; on a line of its own, for the line that follows, and for the
whole table where that line begins one. It needs a reason, and accepts warnings and notices, never errors. An ``allow``
that accepts nothing is a warning itself: whatever it was there for is gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from policies.countries import known_place
from policies.lint.remark import KINDS, Remark
from policies.toml_source import comments

_DIRECTIVE = re.compile(r"#\s*lint\s*:\s*(.*)", re.IGNORECASE)
_ALLOW = re.compile(r"allow\b(.*?)(?:\s+because\b\s*(.*))?$", re.IGNORECASE)
_PEOPLE = re.compile(r"people\s+in\b\s*(.*)$", re.IGNORECASE)
_HEADER = re.compile(r"\s*\[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Remarks of some kinds that are accepted on some lines."""

    line: int
    kinds: tuple[str, ...]
    reason: str
    #: The first line that it counts for, and the one after the last.
    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What a document tells lint."""

    allows: tuple[Allow, ...]
    #: Countries and regions; None: nothing is said.
    places: frozenset[str] | None
    #: What is wrong with the comments themselves.
    remarks: tuple[Remark, ...]


def read_directives(text: str, where: str) -> Directives:
    """Every comment that speaks to lint."""
    lines = text.splitlines()
    allows: list[Allow] = []
    places: set[str] | None = None
    remarks: list[Remark] = []
    for number, comment in comments(text):
        found = _DIRECTIVE.fullmatch(comment.strip())
        if found is None:
            continue
        said = found[1].strip()
        wrong = None
        if people := _PEOPLE.fullmatch(said):
            codes, wrong = read_places(people[1])
            places = (places or set()) | codes
        elif allow := _ALLOW.fullmatch(said):
            kinds = tuple(each for each in re.split(r"[,\s]+", allow[1]) if each)
            wrong = _wrong(kinds, allow[2] or "")
            if wrong is None:
                first, end = _reach(lines, number)
                allows.append(Allow(line=number, kinds=kinds, reason=allow[2].strip(), first=first, end=end))
        else:
            wrong = f"`{said}` is not understood: write `allow KIND because …` or `people in DE, AT`"
        if wrong:
            remarks.append(_remark(where, number, "bad_directive", wrong))
    return Directives(
        allows=tuple(allows), places=None if places is None else frozenset(places), remarks=tuple(remarks)
    )


def read_places(written: str) -> tuple[set[str], str | None]:
    """Countries and regions, separated by commas; and what is wrong with them, if anything is."""
    codes = {code.upper() for code in re.split(r"[,\s]+", written) if code}
    for code in sorted(codes):
        if not known_place(code):
            return set(), f"`{code}` is not a country or region: write ISO codes, such as DE, AT, US-FL"
    return codes, None if codes else "names no country: write ISO codes, such as DE, AT, US-FL"


def accepted(remarks: Sequence[Remark], directives: Directives, where: str) -> Iterator[Remark]:
    """The remarks, those that are accepted with the reason; and one for each ``allow`` that accepts nothing."""
    used: set[Allow] = set()
    for remark in remarks:
        allow = next((each for each in directives.allows if _covers(each, remark)), None)
        if allow is None or remark.level == "error":
            yield remark
        else:
            used.add(allow)
            yield replace(remark, accepted=allow.reason)
    for allow in directives.allows:
        if allow not in used:
            kinds = " or ".join(f"`{kind}`" for kind in allow.kinds)
            yield _remark(
                where, allow.line, "idle_allow", f"accepts nothing: there is no warning {kinds} here; take it out"
            )


def _covers(allow: Allow, remark: Remark) -> bool:
    return remark.kind in allow.kinds and allow.first <= remark.line < allow.end


def _wrong(kinds: Collection[str], reason: str) -> str | None:
    if not kinds:
        return "names no kind of remark: write `allow KIND because …`"
    for kind in kinds:
        if kind not in KINDS:
            return f"`{kind}` is not a kind of remark; kinds are {', '.join(KINDS)}"
    return None if reason.strip() else "gives no reason, so it accepts nothing: write `allow KIND because …`"


def _reach(lines: Sequence[str], number: int) -> tuple[int, int]:
    """The lines that an ``allow`` on this one counts for, from 1: the first, and the one after the last."""
    if not lines[number - 1].lstrip().startswith("#"):
        return number, number + 1
    first = number + 1
    while first <= len(lines) and (not lines[first - 1].strip() or lines[first - 1].lstrip().startswith("#")):
        first += 1
    end = first + 1
    if first <= len(lines) and _HEADER.match(lines[first - 1]):
        while end <= len(lines) and not _HEADER.match(lines[end - 1]):
            end += 1
    return first, end


def _remark(where: str, line: int, kind: str, message: str) -> Remark:
    return Remark(where=where, line=line, key="lint", level="warning", kind=kind, message=message)
