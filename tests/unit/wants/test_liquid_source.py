from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.content.liquid_source import check_source
from scheduler.errors import Invalid


@pytest.mark.parametrize(
    ("source", "roots"),
    [
        ("plain words (1..3), wait...", set()),
        ("Hi {{ contact.name | default: 'you...' }}", {"contact"}),
        ("Hi {{ contact.first_name | default: 'there' }}", {"contact"}),
        (
            "{{ contact.attributes.size }} {{ contact.attributes['shoe size'] }} {{ contact.attributes.a.b }}",
            {"contact"},
        ),
        ("{% if order.carrier %}by {{ order.carrier }}{% else %}soon{% endif %}", {"order"}),
        ("{% assign who = contact.name | upcase %}{{ who }}, {{ page.name }}", {"contact", "page"}),
        ("{% for word in contact.attributes.words %}{{ word }}{% endfor %}{{ product.sku }}", {"contact", "product"}),
    ],
)
def test_known_names_pass_and_are_told(source: str, roots: set[str]) -> None:
    assert check_source(source, field="text") == roots


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ foo }}", "unknown variable `foo` at line 1, column 4"),
        ("Hello\n  {{ contact.fist_name }}", "unknown variable `contact.fist_name` at line 2, column 6"),
        ("{{ contact }}", "`contact` at line 1"),
        ("{{ contact.attributes }}", "is not a text"),
        ("{{ contact.name.first }}", "unknown variable `contact.name.first`"),
        ("{{ product.price }}", "unknown variable `product.price`"),
        ("{{ contact[contact.name] }}", "unknown variable"),
        ("{{ contact.name | nonsense }}", "nonsense"),
        ("{{ 'now' | date: '%Y' }}", "date"),
        ("{% include 'x' %}", "include"),
        ("{% render 'x' %}", "render"),
        ("{% nosuchtag %}", "nosuchtag"),
        ("{{ contact.name", "line 1"),
        ("{% if contact.name %}never closed", "line 1"),
        ("a\x00b", "NUL"),
        ("fine {{ (1..999999999) | join: ',' }}", "a range at line 1, column 6"),
        ("{% for i in (1..contact.attributes.n) %}x{% endfor %}", "a range"),
        ("x" * 20_001, "20001 characters"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(source: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_source(source, field="bodies.en.text")
    assert refused.value.field == "bodies.en.text"
    assert words in refused.value.message


@pytest.mark.parametrize(
    "tag", ["CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE", "HUMAN_AGENT", "MESSAGE_TAG"]
)
def test_a_message_tag_is_refused_with_what_to_use_instead(tag: str) -> None:
    with pytest.raises(Invalid, match="Duly never sends one") as refused:
        check_source(f"please use {tag} here", field="text")
    assert "utility template" in (refused.value.way_out or "")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_source_is_accepted_or_refused_in_words(source: str) -> None:
    with contextlib.suppress(Invalid):
        check_source(source, field="text")


@given(
    st.lists(
        st.sampled_from(["{{", "}}", "{%", "%}", "if", "endif", "for x in", "contact", ".", "name", "|", " ", "'"])
    )
)
def test_any_mix_of_liquid_is_accepted_or_refused_in_words(parts: list[str]) -> None:
    with contextlib.suppress(Invalid):
        check_source("".join(parts), field="text")
