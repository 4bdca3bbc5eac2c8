"""Attributes: what they may be, and merge patches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.contacts.attributes import MAX_BYTES, check_attributes, patched, type_of
from scheduler.errors import Invalid

TYPED = [
    ("gold", "string"), ("", "string"), (7, "number"), (-1.5, "number"), (True, "boolean"), (None, "null"),
    ("2026-02-28", "date"), ("2024-02-29", "date"), ("2026-02-28T08:00:00Z", "datetime"),
    ("2026-02-28 08:00+02:00", "datetime"), (["a", "b"], "list"), ([], "list"), ("2026-2-28", "string"),
    ("2026-02-28 or so", "string"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind"), TYPED)
def test_values_keep_their_type(value: Any, kind: str) -> None:
    assert check_attributes({"a": value}) == {"a": value}
    assert type_of(value) == kind


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": "2026-02-31"}, "attributes.a"), ({"a": "2026-13-01T00:00:00Z"}, "attributes.a"),
        ({"a": "2026-02-28T08:00:00"}, "attributes.a"), ({"a": {"b": 1}}, "attributes.a"),
        ({"a": [1]}, "attributes.a"), ({"a": ["x"] * 51}, "attributes.a"), ({"a": ["x", "y" * 501]}, "attributes.a.1"),
        ({"a": "x" * 501}, "attributes.a"), ({"a": "\x00"}, "attributes.a"), ({"a": ["\ud800"]}, "attributes.a.0"),
        ({"a": float("nan")}, "attributes.a"), ({"a": 2**53}, "attributes.a"), ({"a b": 1}, "attributes.a b"),
        ({"": 1}, "attributes."), ({f"n{n}": n for n in range(51)}, "attributes"), ([], "attributes"),
        ({f"n{n}": "x" * 500 for n in range(40)}, "attributes"), ("text", "attributes"),
    ],
)  # fmt: skip
def test_what_is_no_attribute_names_its_place_and_the_way_out(value: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_attributes(value)
    assert refused.value.field == field
    assert refused.value.way_out


def test_a_merge_patch_sets_and_removes_and_leaves_the_rest() -> None:
    present = {"tier": "gold", "points": 7, "tags": ["a", "b"], "none": None}
    patch = {"tier": None, "points": 8, "tags": ["c"], "missing": None}
    assert patched(present, patch) == {"points": 8, "tags": ["c"], "none": None}
    assert patched(present, None) == {}
    with pytest.raises(Invalid):
        patched(present, ["tier"])
    with pytest.raises(Invalid):
        patched({f"n{n}": "x" * 450 for n in range(MAX_BYTES // 460)}, {"more": "x" * 500, "again": "x" * 500})


_PLAIN = st.none() | st.booleans() | st.integers(-1000, 1000) | st.lists(st.sampled_from("ab"), max_size=2)


def _rfc_7386(target: Any, patch: Any) -> Any:
    """The RFC's own words, as a program."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _rfc_7386(target.get(name), value)
    return target


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), _PLAIN),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), _PLAIN),
)
def test_patching_is_what_the_rfc_says(present: dict[str, Any], patch: dict[str, Any]) -> None:
    assert patched(present, patch) == _rfc_7386(present, patch)
