from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from scheduler.content.templates import get_template, list_templates, save_template
from scheduler.errors import Invalid, NotFound
from scheduler.pages.tables import Page
from tests.integration.noon import NOON

UTILITY = {
    "category": "utility",
    "utility_name": "order_shipped",
    "bodies": {"en": {"text": "Order {{ order.number }}", "parameters": {"order": "{{ order.number }}"}}},
}


def save(session: Session, page: Page, **change: Any) -> Any:
    given: dict[str, Any] = {
        "name": "promo",
        "category": "promotional",
        "default_locale": "en",
        "bodies": {"en": {"text": "Hello"}},
    }
    assert page.id is not None
    return save_template(session, page.id, **(given | change), actor="tests", now=NOON)


def test_saving_a_name_again_makes_its_next_version(session: Session, page: Page) -> None:
    first = save(session, page)
    second = save(session, page, bodies={"en": {"text": "Hello again"}})
    other = save(session, page, name="other")
    assert page.id is not None
    assert (first.version, second.version, other.version) == (1, 2, 1)
    assert get_template(session, page.id, "promo").id == second.id
    assert [each.id for each in list_templates(session, page.id)] == [other.id, second.id]
    assert [each.id for each in list_templates(session, page.id, limit=1)] == [other.id]
    assert [each.id for each in list_templates(session, page.id, after=other.name, limit=1)] == [second.id]
    for unknown in ("nosuch", "no\x00such"):
        with pytest.raises(NotFound):
            get_template(session, page.id, unknown)


def test_locales_are_kept_as_the_platform_writes_them(session: Session, page: Page) -> None:
    saved = save(session, page, default_locale="pt-br", bodies={"pt-BR": {"text": "Oi"}, "es-419": {"text": "Hola"}})
    assert (saved.default_locale, sorted(saved.bodies)) == ("pt_BR", ["es_419", "pt_BR"])


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "no spaces"}, "name", "cannot be used"),
        ({"name": "ACCOUNT_UPDATE"}, "name", "never sends one"),
        ({"topic": "a/b"}, "topic", "cannot be used"),
        ({"category": "marketing"}, "category", "not a category"),
        ({"category": "HUMAN_AGENT"}, "category", "never sends one"),
        ({"bodies": {}}, "bodies", "no body"),
        ({"default_locale": "fr"}, "default_locale", "no body for `fr`"),
        ({"bodies": {"en": {"text": "x"}, "english": {"text": "x"}}}, "bodies.english", "not a locale"),
        ({"bodies": {"en": {"text": "x"}, "EN": {"text": "x"}}}, "bodies.EN", "are the same locale"),
        ({"bodies": {"en": {"text": "x"}, "es_LA": {"text": "x"}, "es-419": {"text": "x"}}}, "bodies.es-419", "same"),
        ({"bodies": {"en": {"text": "\u200b\u2800"}}}, "bodies.en.text", "no text"),
        ({"bodies": {"en": {"text": "{{ '\u2060' }}"}}}, "bodies.en.text", "nothing is left to say"),
        ({"bodies": {"en": "x"}}, "bodies.en", "not an object"),
        ({"bodies": {"en": {}}}, "bodies.en.text", "no text"),
        ({"bodies": {"en": {"text": 5}}}, "bodies.en.text", "no text"),
        ({"bodies": {"en": {"text": "x", "tag": "ACCOUNT_UPDATE"}}}, "bodies.en.tag", "never sends one"),
        ({"bodies": {"en": {"text": "x", "tag": "NEW_TAG"}}}, "bodies.en.tag", "never sends one"),
        ({"bodies": {"en": {"text": "x", "html": "x"}}}, "bodies.en.html", "not a part of a body"),
        ({"bodies": {"en": {"text": "{{ foo }}"}}}, "bodies.en.text", "unknown variable `foo`"),
        ({"bodies": {"en": {"text": "é" * 2000}}}, "bodies.en.text", "2000 characters"),
        ({"bodies": {"en": {"text": "{{ contact.first_name }}"}}}, "bodies.en.text", "nothing is known"),
        ({"bodies": {"en": {"text": "{{ 1 | divided_by: 0 }}"}}}, "bodies.en.text", "divided_by"),
        ({"bodies": {"en": {"text": "x", "parameters": {}}}}, "bodies.en.parameters", "only a utility template"),
        ({"utility_name": "x"}, "utility_name", "promotional content cannot"),
        ({"category": "utility", "utility_approved": True}, "utility_approved", "nothing is named"),
        (
            UTILITY | {"bodies": {"en": {"text": "x", "parameters": ["x"]}}},
            "bodies.en.parameters",
            "not an object",
        ),
        (
            UTILITY | {"bodies": {"en": {"text": "x", "parameters": {"No": "x"}}}},
            "bodies.en.parameters.No",
            "not a parameter's name",
        ),
        (
            UTILITY | {"bodies": {"en": {"text": "x", "parameters": {"who": "{{ contact.shoe }}"}}}},
            "bodies.en.parameters.who",
            "unknown variable `contact.shoe`",
        ),
        (
            UTILITY | {"bodies": {"en": {"text": "x", "parameters": {"who": "{{ contact.name }}"}}}},
            "bodies.en.parameters.who",
            "nothing is known",
        ),
        (
            UTILITY | {"bodies": {"en": {"text": "x", "parameters": {"a": "x"}}, "de": {"text": "x"}}},
            "bodies.de.parameters",
            "not those of the other locales",
        ),
    ],
)
def test_a_bad_template_is_refused_by_field_and_nothing_is_stored(
    session: Session, page: Page, change: dict[str, Any], field: str, words: str, rows: Callable[..., list[Any]]
) -> None:
    with pytest.raises(Invalid) as refused:
        save(session, page, **change)
    assert refused.value.field == field
    assert words in refused.value.message
    assert rows("SELECT * FROM template") == []


def test_the_longest_text_that_the_platform_takes_is_taken(session: Session, page: Page) -> None:
    assert save(session, page, bodies={"en": {"text": "é" * 1999}}).id is not None


def test_a_utility_template_with_named_parameters_is_kept(session: Session, page: Page) -> None:
    saved = save(session, page, **UTILITY, utility_approved=True)
    assert saved.bodies == UTILITY["bodies"]
    assert (saved.utility_name, saved.utility_approved) == ("order_shipped", True)
