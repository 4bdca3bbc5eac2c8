"""Countries by their names and three-letter codes, as people and shops write them: Unicode's CLDR, by Babel."""

from __future__ import annotations

from functools import lru_cache

from babel import Locale
from babel.core import get_global

from policies.countries import known_countries

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
    """The ISO 3166-1 code of the country called ``name``; None for none, or for several.

    ``name`` is in one of several languages, or three letters: Germany, Deutschland, DEU.
    """
    return _by_name().get(_folded(name))


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    codes = known_countries()
    found: dict[str, set[str]] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in codes:
                found.setdefault(_folded(str(name)), set()).add(code)
    for alias, means in get_global("territory_aliases").items():
        if len(alias) == 3 and alias.isalpha() and codes.issuperset(means):
            found.setdefault(_folded(alias), set()).update(means)
    return {name: next(iter(named)) for name, named in found.items() if len(named) == 1}


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace(".", "").split()).removeprefix("the ")
