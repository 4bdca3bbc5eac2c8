from __future__ import annotations

import pytest

from scheduler.content.foreign import foreign_writing
from scheduler.content.visible import shows_nothing


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b",
        "\u2060\u200d",
        "\u2800\u2800",
        "\ufeff",
        "\u00ad",
        "\u3164",
        "\u115f\u1160",
        "\u00a0\u3000",
        "\u200e\u200f",
        "\ufe0f",
        "\U000e0020",
        "\u034f",
        "\u0301",
    ],
)
def test_a_text_without_anything_that_is_drawn_shows_nothing(text: str) -> None:
    assert shows_nothing(text)


@pytest.mark.parametrize("text", ["a", "\u200b.\u200b", "❤️", "👩‍👩‍👧", "\U0001fae9", "ก็", "é", "…", "0", "ㅤa"])
def test_letters_signs_and_emoji_show_something_also_newer_ones(text: str) -> None:
    assert not shows_nothing(text)


@pytest.mark.parametrize(
    "found",
    [
        "__NAME__",
        "%s",
        "{0}",
        "*|FNAME|*",
        "{first_name}",
        "{FIRST_NAME|there}",
        "%FIRST_NAME%",
        "%recipient.name%",
        "%%first_name%%",
        "${name}",
        "#{name}",
        "<%= name %>",
        "[[name]]",
        "<<LastName>>",
        "{{2}}",
        "{{ 11 }}",
        "[First Name]",
        "[NAME]",
        "&amp;",
        "&nbsp;",
        "&#39;",
        "&#x2019;",
        "<b>",
        "</p>",
        "<br/>",
        '<a href="https://example.com">',
    ],
)
def test_other_tools_writing_is_warned_about_with_its_place(found: str) -> None:
    warnings = foreign_writing({"de": {"text": f"Hallo {found}!", "parameters": {"p": found}}})
    assert [warning.partition(" ")[0] for warning in warnings] == ["bodies.de.text:", "bodies.de.parameters.p:"]
    assert all(f"`{found}`" in warning for warning in warnings)


@pytest.mark.parametrize(
    "text",
    [
        "Hi {{ contact.first_name | default: 'you' }}",
        "{% if contact.name %}A{% endif %}",
        "A & B; C",
        "50% off, 20% more",
        "[new] 2 < 3",
        "R&D; done",
        "a {} b",
        "5 % & 7 %",
        "<3",
        "{{ contact.attributes.x }}{{ page.name }}",
    ],
)
def test_plain_text_and_liquid_are_not(text: str) -> None:
    assert foreign_writing({"en": {"text": text}}) == []
