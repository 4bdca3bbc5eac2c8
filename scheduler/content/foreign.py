"""Other tools' placeholders and HTML in a text: nothing fills them in, so people would read them as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from scheduler.content.liquid_shape import without_markup

#: How other tools write a placeholder; the comment shows what is found.
_PLACEHOLDERS = re.compile(
    r"""
    \*\|[^|\n]{1,60}\|\*                         # *|FNAME|*
    | %%[A-Za-z][\w .:-]{0,60}%%                 # %%first_name%%
    | %[A-Za-z][A-Za-z_.]{1,60}%                 # %FIRST_NAME%, %recipient.name%
    | __[A-Z][A-Z_]{1,40}__                      # __NAME__
    | (?<![\w%])%[sd](?![\w%])                   # %s
    | (?<!\{)\{[0-9]{1,2}\}(?!\})                # {0}
    | \$\{[^{}\n]{1,60}\}                        # ${name}
    | \#\{[^{}\n]{1,60}\}                        # #{name}
    | <<[A-Za-z][^<>\n]{0,59}>>                  # <<FirstName>>
    | <%=?[^%\n]{1,60}%>                         # <%= name %>
    | \[\[[^\[\]\n]{1,60}\]\]                    # [[name]]
    | \[(?:[A-Za-z]{1,20}[ _-]?)?[Nn](?:ame|AME)\]  # [First Name], [NAME]
    | (?<!\{)\{[A-Za-z][\w .|:-]{0,60}\}(?!\})   # {first_name}, {FIRST_NAME|there}
    """,
    re.VERBOSE,
)
#: WhatsApp's placeholder; to Liquid it is the number itself.
_NUMBERED = re.compile(r"\{\{-?\s*[0-9]{1,2}\s*-?\}\}")  # {{1}}
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6});")
_ELEMENT = re.compile(
    r"</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|ol|p|span|strong|table|td|tr|u|ul)(?:\s[^<>]{0,200})?/?>", re.I
)

_KINDS = (
    (_PLACEHOLDERS, "looks like another tool's placeholder; nothing fills it in: write {{ contact.first_name }}, say"),
    (_ENTITY, "is HTML; people would read it as it is: write the character itself"),
    (_ELEMENT, "is HTML; Messenger shows it as it is: leave it out"),
)
#: Characters of a text that are looked at.
_LOOKED_AT = 5_000
#: Warnings of one text; more would say the same again.
_MOST = 10


def foreign_writing(bodies: Mapping[str, Any]) -> list[str]:
    """Warnings about a template's bodies (locale → ``{"text", "parameters"}``), each naming its place."""
    return [f"{place}: `{found}` {words}" for place, source in _sources(bodies) for found, words in _found(source)]


def _sources(bodies: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for locale, body in bodies.items():
        yield f"bodies.{locale}.text", body["text"]
        for name, source in body.get("parameters", {}).items():
            yield f"bodies.{locale}.parameters.{name}", source


@lru_cache(maxsize=512)
def _found(source: str) -> list[tuple[str, str]]:
    plain = without_markup(source)[:_LOOKED_AT]
    found = [(match.group(), words) for pattern, words in _KINDS for match in pattern.finditer(plain)]
    found += [
        (match.group(), "is a number to Liquid, and is sent as one: write {{ contact.first_name }}, say")
        for match in _NUMBERED.finditer(source[:_LOOKED_AT])
    ]
    return list(dict.fromkeys(found))[:_MOST]
