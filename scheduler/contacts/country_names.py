"""Countries by their names, as people and shops write them: Unicode's CLDR, by Babel."""

from __future__ import annotations

from functools import lru_cache

from babel import Locale

from scheduler.contacts.places import country_codes

#: The languages in which a name is known: those of the people who keep shops' files.
_LANGUAGES = (
    "en",
    "de",
    "fr",
    "es",
    "pt",
    "it",
    "nl",
    "pl",
    "sv",
    "da",
    "nb",
    "fi",
    "cs",
    "ro",
    "hu",
    "el",
    "tr",
    "id",
    "ja",
)


def country_named(name: str) -> str | None:
    """The ISO 3166-1 code of the country called ``name`` in one of several languages; None for none, or for several."""
    return _by_name().get(_folded(name))


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    codes = country_codes()
    found: dict[str, set[str]] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in codes:
                found.setdefault(_folded(str(name)), set()).add(code)
    return {name: next(iter(named)) for name, named in found.items() if len(named) == 1}


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace(".", "").split()).removeprefix("the ")
