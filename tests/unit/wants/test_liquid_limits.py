"""What a template may cost: its source is looked at before it is lexed, and a rendering has a budget."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scheduler.content.bodies import check_bodies
from scheduler.content.foreign import foreign_writing
from scheduler.content.liquid_environment import compiled
from scheduler.content.liquid_source import check_source
from scheduler.content.render import CannotRender, render
from scheduler.content.try_out import try_out
from scheduler.errors import Invalid
from tests.patience import patience

_WORDS = "{% assign words = '" + "y," * 999 + "' | split: ',' %}"
_LONG = "{% capture long %}" + "<a " * 3_000 + ">{% endcapture %}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{" * 3_000, "`{{` is never closed at line 1, column 1"),
        ("{" * 19_999, "never closed"),
        ("{%" * 3_000, "`{%` is never closed"),
        ("{%raw" + " " * 19_000, "never closed"),
        ("fine\n{{" + " " * 19_000 + "}}", "an output or tag of 19004 characters at line 2, column 1"),
        ("{% " + "a" * 19_000, "never closed"),
        ("{{" + " " * 101 + "page.name }}", "blanks in a row"),
        ("{% raw %}" * 600, "more than 500 outputs and tags"),
        ("{% if " + "(" * 51 + "1" + ")" * 51 + " %}x{% endif %}", "more than 50 opening brackets"),
        ("{{ contact" + "[contact" * 51 + "]" * 51 + " }}", "more than 50 opening brackets"),
        ("{{ page.name" + " | upcase" * 51 + " }}", "more than 50 filters"),
        ("{% liquid\n" + "echo page.name\n" * 201 + "%}", "more than 200 lines"),
        ("{% comment %}{{ {% endcomment %}", "never closed"),
        ("{% liquid # it's\n echo (1..30000000) | join %}", "a range at line 1, column 1"),
        ("one\n{% assign a = (1..3) | join %}", "a range at line 2, column 1"),
    ],
)
def test_a_source_is_refused_by_its_shape_before_anything_lexes_it(source: str, words: str) -> None:
    began = time.process_time()
    with pytest.raises(Invalid) as refused:
        check_source(source, field="text")
    assert words in refused.value.message
    # Lexing any of the long ones took between four and thirty seconds.
    assert time.process_time() - began < patience(0.5)


@pytest.mark.parametrize(
    "source",
    [
        _WORDS + "{% for i in words %}" + "{%if 1%}{%endif%}" * 240 + "x{% endfor %}",
        _WORDS + "{% for i in words %}{% if contact.attributes" + ".a" * 1_900 + " %}{% endif %}{% endfor %}x",
        _WORDS + "{% for i in words %}{% if " + "1 and " * 150 + "nil %}{% endif %}{% endfor %}x",
        "{% assign a = 'a,b,c,d,e,f,g,h,i,j' | split: ',' %}"
        + "{% for i in a %}" * 3 + "{%if 1%}{%endif%}" * 200 + "x" + "{% endfor %}" * 3,
        _LONG + "{{ long | strip_html | size }}" * 10,
        _LONG + "{{ long | upcase | size }}" * 40,
        "{% capture a %}" + ",".join(chr(0x4E00 + each) for each in range(2_000)) + "{% endcapture %}"
        + "{{ a | split: ',' | uniq | size }}",
        "{% capture a %}" + "a," * 4_500 + "{% endcapture %}" + "{{ a | split: ',' | sort_natural | size }}" * 100,
    ],
)  # fmt: skip
def test_a_rendering_that_does_too_much_is_broken_off(source: str) -> None:
    began = time.process_time()
    with pytest.raises(Invalid, match="does more than a message needs"):
        try_out("en", {"text": source}, None)
    assert time.process_time() - began < patience(1)


class _Somebody:
    name = first_name = locale = None
    attributes: dict[str, Any] = {"likes": [f"thing {number}" for number in range(50)]}  # noqa: RUF012


class _Template:
    default_locale, utility_name, utility_approved = "en", None, False

    def __init__(self, text: str) -> None:
        self.bodies: dict[str, Any] = {"en": {"text": text}}


class _Shop:
    name = "Shop"


def test_the_budget_counts_anew_for_each_rendering_and_what_a_message_needs_is_far_below_it() -> None:
    text = "{% for like in contact.attributes.likes limit: 20 %}{{ like | capitalize | escape }}, {% endfor %}and more"
    for _ in range(50):
        assert (render(_Template(text), _Somebody(), _Shop(), {}).text or "").startswith("Thing 0, Thing 1")


@pytest.mark.parametrize("source", ["Hi {{" + " " * 19_000, "{{ (1..30000000) | join }}"])
def test_what_was_saved_before_the_limits_cannot_be_rendered_and_costs_nothing(source: str) -> None:
    with pytest.raises(CannotRender):
        render(_Template(source), _Somebody(), _Shop(), {})
    assert foreign_writing({"en": {"text": source}}) == []


def test_long_sources_are_kept_compiled_only_a_few_at_a_time() -> None:
    from scheduler.content import liquid_environment

    for number in range(100):
        compiled("x" * 3_000 + str(number))
    assert liquid_environment._long.cache_info().currsize <= 32


@pytest.mark.parametrize(
    ("bodies", "field", "words"),
    [
        ({f"en-{number:03d}": {"text": "x"} for number in range(101)}, "bodies", "101 bodies are too many"),
        ({"en": {"text": "x" * 60_000}, "de": {"text": "y" * 60_000}}, "bodies", "more than 100000 characters"),
        (
            {"en": {"text": "x", "parameters": {f"p{number}": "x" for number in range(51)}}},
            "bodies.en.parameters",
            "51 parameters are too many",
        ),
    ],
)
def test_bodies_are_bounded_together(bodies: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_bodies(bodies, "en", "approved")
    assert (refused.value.field, words in refused.value.message) == (field, True)
