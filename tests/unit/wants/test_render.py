from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from scheduler.content.render import CannotRender, choose_locale, render


@dataclass
class Template:
    bodies: dict[str, Any]
    default_locale: str = "en"
    utility_name: str | None = None
    utility_approved: bool = False


@dataclass
class Contact:
    name: str | None = None
    first_name: str | None = None
    locale: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Page:
    name: str = "Shoes & Co"


def text(source: str, contact: Contact | None = None, **variables: Any) -> str | None:
    return render(Template({"en": {"text": source}}), contact or Contact(), Page(), variables).text


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("Hi {{ contact.first_name }}!", "Hi !"),
        ("Hi {{ contact.first_name | default: 'there' }}!", "Hi there!"),
        ("{{ page.name }} {{ contact.attributes.size }}.", "Shoes & Co ."),
        ("{{ page.name }} {{ contact.attributes.size.width | default: 'any' }}", "Shoes & Co any"),
        ("{% if contact.first_name %}Hi{% else %}Hello{% endif %}", "Hello"),
        ("{% if contact.attributes.vip %}VIP{% else %}you{% endif %}", "you"),
        ("News{% if order.carrier %} by {{ order.carrier }}{% endif %}", "News"),
        ("{% for word in contact.attributes.words %}{{ word }}{% endfor %}x", "x"),
    ],
)
def test_what_is_not_known_of_a_person_renders_empty(source: str, rendered: str) -> None:
    assert text(source) == rendered


def test_what_is_known_is_filled_in() -> None:
    contact = Contact(name="Ada Lovelace", first_name="Ada", attributes={"size": 38, "vip": True})
    source = (
        "{{ contact.first_name }} {{ contact.attributes.size }} {{ order.number }}"
        "{% if contact.attributes.vip %}*{% endif %}"
    )
    assert text(source, contact, order={"number": "7"}) == "Ada 38 7*"
    assert text("{{ order.number }}{{ order.carrier }}", order={"number": "7"}) == "7"


@pytest.mark.parametrize("known", ["{{ contact.name }}", "<b>{% raw %}{{ contact.name }}{% endraw %}</b>"])
def test_what_a_person_calls_themselves_is_never_a_program(known: str) -> None:
    assert text("{{ contact.name }}", Contact(name=known)) == known


@pytest.mark.parametrize("source", ["{{ contact.first_name }}", "   ", "{% assign a = 1 %}"])
def test_nothing_to_say_is_refused(source: str) -> None:
    with pytest.raises(CannotRender, match="nothing is left"):
        text(source)


def test_the_limit_is_the_platforms() -> None:
    assert text("{{ contact.name }}", Contact(name="é" * 1999)) == "é" * 1999
    with pytest.raises(CannotRender, match="2000 characters"):
        text("{{ contact.name }}", Contact(name="é" * 2000))


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in contact.attributes.all %}{% for b in contact.attributes.all %}x{% endfor %}{% endfor %}",
        "{% assign a = 'x' %}{% for b in contact.attributes.all %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "{% assign a = 99 %}{% for b in contact.attributes.all %}{% assign a = a | times: a %}{% endfor %}{{ a }}",
        "{{ 'aaaaaaaaaa' " + "| replace: 'a', 'aaaaaaaaaaaaaaaaaaaa' " * 8 + "| size }}",
        "{{ 'aaaaaaaaaa' " + "| replace: '', 'aaaaaaaaaaaaaaaaaaaa' " * 8 + "| size }}",
        "{{ contact.attributes.all " + "| join: 'aaaaaaaaaaaaaaaaaaaa' | split: '' " * 5 + "| size }}",
        "{{ 99999999 " + "| times: 99999999999999999999999999999999999999 " * 300 + "| size }}",
        "{{ '1e9999999' | ceil }}",
        "{{ '1e9999999' | modulo: 3 }}",
        "{{ 1 | divided_by: 0 }}",
    ],
)
def test_what_never_ends_or_cannot_be_counted_is_refused(source: str) -> None:
    with pytest.raises(CannotRender):
        text(source, Contact(attributes={"all": list(range(100))}))


def test_approved_utility_content_goes_as_its_template_and_unapproved_as_text() -> None:
    body = {"en": {"text": "Order {{ order.number }}", "parameters": {"number": "{{ order.number }}"}}}
    variables = {"order": {"number": "7"}}
    approved = render(Template(body, utility_name="shipped", utility_approved=True), Contact(), Page(), variables)
    assert (approved.text, approved.utility_name, approved.utility_parameters) == (None, "shipped", {"number": "7"})
    waiting = render(Template(body, utility_name="shipped"), Contact(), Page(), variables)
    assert (waiting.text, waiting.utility_name, waiting.utility_parameters) == ("Order 7", None, {})


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("pt_BR", "pt_BR"), ("pt_PT", "pt_BR"), ("de_AT", "de"), ("de", "de"), ("DE-at", "de"),
        ("fr_FR", "en"), (None, "en"), ("", "en"),
    ],
)  # fmt: skip
def test_a_locale_falls_back_to_its_language_then_to_the_default(wanted: str | None, chosen: str) -> None:
    assert choose_locale({"en": {}, "de": {}, "pt_BR": {}}, wanted, "en") == chosen
