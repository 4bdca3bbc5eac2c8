"""Reads one row of a file by the mapping: what is known about a person, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from typing import Any

from scheduler.contacts.attributes import MAX_ATTRIBUTES, MAX_BYTES, MAX_TEXT
from scheduler.errors import Invalid
from scheduler.imports import values
from scheduler.imports.fields import ATTRIBUTE, CONSENT, IDENTITIES, Field, field_called

#: field → how its cell is read. Identities are read by the contacts room, see ``read_identity``.
_READERS: dict[str, Callable[[str], Any]] = {
    "psid": values.psid,
    "name": values.text,
    "first_name": values.text,
    "locale": values.locale,
    "country": values.country,
    "region": values.region,
    "timezone": values.timezone,
    "utc_offset": values.utc_offset,
    "opted_out": values.yes_or_no,
    "opted_out.topic": values.topics,
    "opted_out.at": values.instant,
    "opt_outs": values.opt_outs,
    **{CONSENT + member: reader for member, reader in values.CONSENT_READERS.items()},
}
#: Fields of the contact itself, and what they are called when they are staged.
_KEPT = (
    ("name", "name"),
    ("first_name", "first_name"),
    ("locale", "locale"),
    ("country", "country"),
    ("region", "region"),
    ("utc_offset", "utc_offset"),
    ("timezone", "timezones"),
)
#: What people are called by: a doubtful one is left out rather than said.
_NAMES = ("name", "first_name")


@dataclass(slots=True)
class Problem:
    """One thing that is wrong with a row. ``value`` is masked where it may be personal."""

    problem: str
    allowed: str
    column: str | None = None
    field: str | None = None
    value: str | None = None
    #: ``error``, ``dropped`` (the row counts without the cell) or ``warning`` (it counts as it stands).
    severity: str = "error"


@dataclass(slots=True)
class Reading:
    """What a row says. ``known`` is what is staged; it counts only without errors."""

    psid: str | None
    #: kind → value, by which the person is found where there is no psid.
    identities: dict[str, str]
    known: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether the row is not to be applied."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def opts_out(self) -> bool:
        """Whether it says that they opted out of anything: that counts even where the row is bad."""
        return "opt_outs" in self.known


class RowReader:
    """The readings of one file. ``now`` (epoch seconds UTC) is the instant that consents must not lie after."""

    def __init__(
        self,
        headers: Sequence[str],
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        *,
        read_identity: Callable[[str, str], str],
        now: int,
        skip_cells: bool = False,
    ) -> None:
        """Look every column up once. Raises Invalid for a constant; ``read_identity(kind, value)`` is the contacts'."""
        self._width = len(headers)
        self._skip_cells = skip_cells
        self._now = now
        self._columns = {target: column for column, target in mapping.items()}
        self._plan: list[tuple[int, str, Field, Callable[[str], Any]]] = []
        for position, header in enumerate(headers):
            if (target := mapping.get(header)) is not None:
                self._plan.append((position, target, _known(target), self._reader(target, read_identity)))
        self._constants: dict[str, Any] = {}
        for target, value in constants.items():
            try:
                self._constants[target] = self._reader(target, read_identity)(value)
            except Invalid as error:
                raise Invalid(error.message, field=f"set.{target}", way_out=f"give {_known(target).allowed}") from None
        consent_columns = [target for target in self._columns if target.startswith(CONSENT)]
        #: Said once for all: without a column that could be empty, every row has it.
        self._everybody_consents = not consent_columns and any(target.startswith(CONSENT) for target in constants)
        targets = [*self._columns, *constants]
        #: Looked up once, not once a row: which of the fields there are at all.
        self._consent_targets = [target for target in targets if target.startswith(CONSENT)]
        self._any_consents = "consents" in targets or bool(self._consent_targets)
        self._any_opt_outs = any(target.startswith("opt") for target in targets)
        self._plain = [(name, known) for name, known in _KEPT if name in targets]
        self._attributes = [
            (target, target.partition(":")[0].removeprefix("attributes."))
            for target in targets
            if target.startswith("attributes.")
        ]
        #: Only so many could be too large together, each character six bytes.
        self._large_attributes = len(self._attributes) * MAX_TEXT * 6 > MAX_BYTES
        self._identities = [kind for kind in IDENTITIES if kind in targets]
        self._fixed = {target: value for target, value in self._constants.items() if not target.startswith(CONSENT)}
        if len(self._attributes) > MAX_ATTRIBUTES:
            raise Invalid(
                f"{len(self._attributes)} columns are attributes",
                field="mapping",
                way_out=f"map {MAX_ATTRIBUTES} at most",
            )

    def _reader(self, target: str, read_identity: Callable[[str, str], str]) -> Callable[[str], Any]:
        attribute = ATTRIBUTE.fullmatch(target)
        if attribute is not None:
            return values.ATTRIBUTE_READERS[attribute[2] or "text"]
        if target in IDENTITIES:
            return lambda cell: read_identity(target, cell)
        if target == "consents":
            return lambda cell: values.consents(cell, now=self._now)
        return _READERS[target]

    def read(self, cells: Sequence[str]) -> Reading:
        """One row."""
        said: dict[str, Any] = {}
        problems: list[Problem] = []
        width = self._width
        if len(cells) != width:
            odd = self._odd_width(cells)
            if odd is not None:
                problems.append(odd)
                if odd.severity == "error":
                    return Reading(None, {}, {}, problems)
            cells = [*cells, *[""] * (width - len(cells))]
        for position, target, known, reader in self._plan:
            cell = cells[position].strip()
            if cell:
                try:
                    said[target] = reader(cell)
                    if (doubt := values.doubt(target, cell, said[target])) is not None:
                        problems.append(self._doubtful(target, doubt, shown(known, cell), said))
                except Invalid as error:
                    problems.append(self._bad_cell(target, error.message, shown(known, cell)))
        known_more: dict[str, Any] = {}
        if self._any_consents and (consents := self._consents(said, problems)):
            known_more["consents"] = consents
        if self._any_opt_outs and (opt_outs := self._opt_outs(said, problems)):
            known_more["opt_outs"] = opt_outs
        if self._fixed:
            said |= self._fixed
        region, country = said.get("region"), said.get("country")
        if region is not None and country is not None and not values.region_in_country(region, country):
            problems.append(self._bad_cell("region", f"is not in country `{country}`", region))
            if self._skip_cells:
                del said["region"]
        if zones := said.get("timezone"):
            odd_ones = values.odd_places(tuple(zones), country, said.get("region"))
            problems += (
                self._problem("timezone", odd_one, "|".join(zones), severity="warning") for odd_one in odd_ones
            )
        identities = {kind: said[kind] for kind in self._identities if kind in said}
        if "psid" not in said and not identities and not any(each.severity == "error" for each in problems):
            problems.append(Problem("nothing tells who the row is about", "a psid, or an identity that is linked"))
        staged = self._staged(said, identities)
        if (
            self._large_attributes
            and (size := len(dumps(staged.get("attributes"), ensure_ascii=False).encode())) > MAX_BYTES
        ):
            problems.append(Problem(f"the attributes take {size} bytes as JSON", f"{MAX_BYTES}", field="attributes"))
        return Reading(said.get("psid"), identities, staged | known_more, problems)

    def _staged(self, said: Mapping[str, Any], identities: Mapping[str, str]) -> dict[str, Any]:
        known = {name: said[target] for target, name in self._plain if target in said}
        if attributes := {name: said[target] for target, name in self._attributes if target in said}:
            known["attributes"] = attributes
        if identities:
            known["links"] = list(identities.items())
        return known

    def _consents(self, said: dict[str, Any], problems: list[Problem]) -> list[values.Consent]:
        found: list[values.Consent] = list(said.get("consents", ()))
        members = {target[len(CONSENT) :]: said[target] for target in self._consent_targets if target in said}
        if members or self._everybody_consents:
            for target, value in self._constants.items():
                if target.startswith(CONSENT):
                    members[target[len(CONSENT) :]] = value
            # What could not be read is not missing as well.
            unread = {problem.field for problem in problems}
            whole, wrong = values.whole_consent(members, now=self._now)
            if whole is not None:
                found.append(whole)
            for member, words in wrong:
                if CONSENT + member not in unread:
                    problems.append(self._problem(CONSENT + member, words))
        return found

    def _opt_outs(self, said: dict[str, Any], problems: list[Problem]) -> list[values.OptOut]:
        found: list[values.OptOut] = list(said.get("opt_outs", ()))
        if any(each["at"] is not None and each["at"] > self._now + 60 for each in found):
            problems.append(self._problem("opt_outs", "has one that has not passed yet"))
            # That they opted out is not in doubt, only when.
            found = [each if (each["at"] or 0) <= self._now + 60 else {**each, "at": None} for each in found]
        out, at = said.get("opted_out"), said.get("opted_out.at")
        if out is None and "opted_out" not in self._columns:
            out = "opted_out.topic" in said
        if not out:
            problems += (
                self._problem(target, "is given, but the row does not say that they opted out")
                for target in ("opted_out.topic", "opted_out.at")
                if target in said
            )
            return found
        if at is not None and at > self._now + 60:
            problems.append(self._problem("opted_out.at", "has not passed yet"))
            at = None
        return found + [{"topic": topic, "category": None, "at": at} for topic in said.get("opted_out.topic", [None])]

    def _doubtful(self, target: str, words: str, value: str, said: dict[str, Any]) -> Problem:
        if self._skip_cells and target in _NAMES:
            del said[target]
            return self._problem(target, words, value, severity="dropped")
        return self._problem(target, words, value, severity="warning")

    def _bad_cell(self, target: str, words: str, value: str) -> Problem:
        severity = "dropped" if self._skip_cells and _known(target).optional else "error"
        return self._problem(target, words, value, severity=severity)

    def _odd_width(self, cells: Sequence[str]) -> Problem | None:
        """What is wrong with a row that is not as wide as the header; None: only empty cells are too many."""
        if len(cells) > self._width and not any(cells[self._width :]):
            return None
        wrong = f"the row has {len(cells)} cells, the header has {self._width}"
        missing = [known for position, _, known, _ in self._plan if position >= len(cells)]
        if len(cells) > self._width or not all(known.optional for known in missing):
            return Problem(wrong, "as many as the header; quote cells that hold delimiters")
        # Some programs leave out the empty cells at the end of a row.
        return Problem(f"{wrong}; the others are taken as empty", "as many as the header", severity="warning")

    def _problem(self, target: str, words: str, value: str | None = None, *, severity: str = "error") -> Problem:
        return Problem(words, _known(target).allowed, self._columns.get(target), target, value, severity)


def shown(known: Field, cell: str) -> str:
    """A cell as an error may show it: what is personal, or may be, only by how it begins."""
    if known.personal or known.name == "attributes":
        return f"{cell[:2]}…" if len(cell) > 4 else "…"
    return cell[:64] + ("…" if len(cell) > 64 else "")


def _known(target: str) -> Field:
    known = field_called(target)
    assert known is not None  # the mapping was checked
    return known
