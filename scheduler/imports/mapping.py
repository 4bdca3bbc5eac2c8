"""Which column is which field: guessed from the headers, shown, and corrected by a person."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from scheduler.errors import Invalid
from scheduler.imports.fields import ATTRIBUTE, BY_HEADER, FIELDS, IDENTITIES, TYPES, field_called, folded

#: A column that is mapped to this is not imported.
IGNORED = ""


def guess_mapping(headers: Sequence[str]) -> dict[str, str]:
    """column → field, for the headers that name one; of two columns for one field the first."""
    found: dict[str, str] = {}
    for header in headers:
        field = header if ATTRIBUTE.fullmatch(header) else BY_HEADER.get(folded(header))
        if field is not None and field_called(field) is not None and _target(field) not in map(_target, found.values()):
            found[header] = field
    return found


def left_out(headers: Sequence[str], said: Mapping[str, str]) -> list[str]:
    """The columns that ``said`` leaves out by name. Raises Invalid for a column that there is not."""
    return [_column(headers, column) for column, field in said.items() if field.strip() == IGNORED]


def corrected(headers: Sequence[str], guessed: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """``guessed`` as a person corrected it: column → field, an empty field ignores the column.

    Raises Invalid, naming the column, for columns and fields that there are not, and for a field that two columns
    would say. A column that was only guessed makes room for the one that is said.
    """
    wanted = {_column(headers, column): _field(column, field.strip()) for column, field in said.items()}
    taken = {_target(field) for field in wanted.values() if field}
    mapping = {column: field for column, field in guessed.items() if _target(field) not in taken} | wanted
    seen: dict[str, str] = {}
    for column, field in mapping.items():
        if field and (before := seen.setdefault(_target(field), column)) != column:
            raise Invalid(
                f"`{field}` is what `{before}` is mapped to already",
                field=f"mapping.{column}",
                way_out="map one column to a field",
            )
    return {column: field for column, field in mapping.items() if field != IGNORED}


def check_constants(mapping: Mapping[str, str], constants: Mapping[str, str]) -> dict[str, str]:
    """What is said once for all rows: field → value. Raises Invalid, naming the field."""
    columns = {_target(field): column for column, field in mapping.items()}
    checked: dict[str, str] = {}
    for name, value in constants.items():
        field = _field(name, name)
        known = field_called(field)
        if known is None or not known.constant:
            raise Invalid("differs from person to person", field=f"set.{name}", way_out="map a column to it")
        if (column := columns.get(_target(field))) is not None:
            raise Invalid(
                f"is what column `{column}` says already",
                field=f"set.{name}",
                way_out=f"ignore the column with `{column}=`, or leave this out",
            )
        if not value.strip() or "\x00" in value:
            raise Invalid("is empty", field=f"set.{name}", way_out=f"give {known.allowed}, or leave it out")
        checked[field] = value.strip()
    return checked


def check_person(mapping: Mapping[str, str]) -> None:
    """Raise Invalid when no column tells who a row is about."""
    if not {"psid", *IDENTITIES} & set(mapping.values()):
        raise Invalid(
            "no column tells who a row is about",
            field="mapping",
            way_out="map a column to psid, or to crm_id, phone or email of people who are linked",
        )


def parse_assignment(given: str, *, option: str) -> tuple[str, str]:
    """``column=field`` as it is typed. The last ``=`` divides: headers may have one, fields have none."""
    column, divider, field = given.rpartition("=")
    if not divider or not column.strip():
        raise Invalid(f"`{given[:64]}` has no `=`", field=option, way_out='write column=field, like "E-Mail=email"')
    return column.strip(), field.strip()


def _target(field: str) -> str:
    # Whatever type it is read as, an attribute is one attribute.
    return field.partition(":")[0] if field.startswith("attributes.") else field


def _column(headers: Sequence[str], column: str) -> str:
    for header in headers:
        if header == column.strip() or header.casefold() == column.strip().casefold():
            return header
    by_folded = {header.casefold(): header for header in headers}
    near = [by_folded[each] for each in difflib.get_close_matches(column.casefold(), by_folded, n=1)]
    raise Invalid(
        f"the file has no column `{column[:64]}`",
        field=f"mapping.{column[:64]}",
        way_out=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(headers[:30])}",
    )


def _field(place: str, field: str) -> str:
    if field == IGNORED or field_called(field) is not None:
        return field
    attribute = ATTRIBUTE.fullmatch(field)
    names = [each.name for each in FIELDS]
    near = difflib.get_close_matches(field, names, n=1)
    if attribute is not None:
        way_out = f"attributes are read as {', '.join(TYPES)}"
    elif field.startswith("attributes."):
        way_out = "the name of an attribute has letters, digits and underscores, up to 64"
    else:
        way_out = f"did you mean {near[0]}?" if near else f"fields are {', '.join(names)} and attributes.NAME"
    raise Invalid(f"`{field[:64]}` is not a field", field=f"mapping.{place[:64]}", way_out=way_out)
