"""Which of several locales a person reads best: CLDR's likely subtags and parents, by Babel.

A locale inherits from its parent (``es_MX`` from ``es_419``, ``nb`` from ``no``; Unicode UTS #35, "Inheritance"), and a
script that is not the language's usual one inherits from nothing: ``zh_TW`` is written in Han characters that readers
of ``zh_CN`` need not know, so neither stands for the other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from babel.core import get_global

from scheduler.errors import Invalid

_SHAPE = re.compile(r"([A-Za-z]{2,3})(?:[_-]([A-Za-z]{4}))?(?:[_-]([A-Za-z]{2}|[0-9]{3}))?")

#: Codes of the platform that are not CLDR's: https://developers.facebook.com/docs/messenger-platform (its locales).
_PLATFORM_LANGUAGES = {"cb": "ckb", "ck": "chr", "cx": "ceb", "qc": "quc", "sz": "szl", "tz": "zgh", "zz": "zza"}
#: ``es_LA`` is Spanish for all of Latin America there, not Spanish in Laos.
_PLATFORM_REGIONS = {("es", "LA"): "419"}


class Locale(NamedTuple):
    """A locale by its parts, in CLDR's codes."""

    language: str
    script: str | None
    region: str | None


def normalize_locale(given: str, *, field: str) -> str:
    """``given`` as the platform writes it: ``pt-br`` is ``pt_BR``. Raises Invalid for what is not a locale."""
    shape = _SHAPE.fullmatch(given.strip())
    if shape is None:
        raise Invalid(
            f"`{given[:32]}` is not a locale", field=field, way_out="write a language, or both: en, pt_BR, es_419"
        )
    language, script, region = shape.groups()
    if language.lower() not in _languages():
        raise Invalid(
            f"`{given[:32]}` names no language that Unicode's CLDR knows",
            field=field,
            way_out="begin with the language's ISO 639 code, like en, pt or zh",
        )
    parts = (language.lower(), script.title() if script else None, region.upper() if region else None)
    return "_".join(part for part in parts if part)


@lru_cache(maxsize=4096)
def best_locale(offered: tuple[str, ...], wanted: str) -> str | None:
    """Of ``offered`` the locale that somebody of locale ``wanted`` reads best; None when they may read none of them.

    The same locale, else the nearest in CLDR's inheritance, else another region's of the same language and script.
    """
    ancestors = _ancestors(wanted)
    ranked: list[tuple[int, int, bool, str]] = []
    for locale in offered:
        theirs = _ancestors(locale)
        for distance, name in enumerate(ancestors):
            if name in theirs:
                # Between two regions that are equally far, the language's most usual one.
                ranked.append((distance, theirs.index(name), not _is_likely(locale), locale))
                break
    return min(ranked)[-1] if ranked else None


def same_locale(one: str, other: str) -> bool:
    """Whether two codes name one locale: ``es_LA`` and ``es_419``, ``tl`` and ``fil``."""
    return _ancestors(one)[:1] == _ancestors(other)[:1]


@lru_cache(maxsize=4096)
def _ancestors(code: str) -> tuple[str, ...]:
    """The locale and what it inherits from, nearest first; empty for what is not a locale."""
    locale = _parse(code)
    if locale is None:
        return ()
    language, script, region = locale
    usual = _likely(language, None, None).script
    script = script or _likely(language, None, region).script
    if script == usual:
        script = None
    exceptions = get_global("parent_exceptions")
    found: list[str] = []
    current: str | None = "_".join(part for part in (language, script, region) if part)
    while current and current != "root" and current not in found:
        found.append(current)
        parent = exceptions.get(current)
        if parent is None:
            # A script of its own has no parent: it would be in another script.
            parent = current.rpartition("_")[0]
            if script is not None and parent == language:
                parent = None
        current = parent
    return tuple(found)


def _parse(code: str) -> Locale | None:
    shape = _SHAPE.fullmatch(code.strip())
    if shape is None:
        return None
    language, script, region = shape[1].lower(), shape[2], shape[3]
    region = region.upper() if region else None
    region = _PLATFORM_REGIONS.get((language, region or ""), region)
    language = _PLATFORM_LANGUAGES.get(language, language)
    alias = get_global("language_aliases").get(language)
    if alias is not None:
        # An old code may say more than a language: sh is sr_Latn.
        language, _, implied = alias.partition("_")
        script = script or (implied if len(implied) == 4 else None)
    return Locale(language, script.title() if script else None, region)


@lru_cache(maxsize=4096)
def _likely(language: str, script: str | None, region: str | None) -> Locale:
    known = get_global("likely_subtags")
    for parts in ((language, script, region), (language, region), (language, script), (language,)):
        full = known.get("_".join(part for part in parts if part))
        if full is not None:
            likely = full.split("_")
            return Locale(likely[0], script or likely[1], region or likely[2])
    return Locale(language, script, region)


def _is_likely(code: str) -> bool:
    locale = _parse(code)
    if locale is None or locale.region is None:
        return True
    return _likely(locale.language, None, None).region == locale.region


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    """Every language code that CLDR or the platform uses."""
    likely = {code.partition("_")[0] for code in get_global("likely_subtags")}
    return frozenset({*likely, *get_global("language_aliases"), *_PLATFORM_LANGUAGES}) - {"und"}
