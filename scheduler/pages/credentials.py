"""What may be a page's token, an app's secret or a verify token: one check, whoever gives it and by whatever way.

Webhooks are believed for the app secret alone: whoever guesses it opts people in and out. No error names a value.
"""

from __future__ import annotations

import re

from scheduler.errors import Invalid

LONGEST = 2000

#: Characters, at least. The platform's app secrets have 32, and a piece of one lets others guess signatures; its tokens
#: have over a hundred. A verify token is the shop's own word.
SHORTEST_SECRET = 16
_SHORTEST_TOKEN = 8
_SHORTEST_VERIFY_TOKEN = 8
#: Different characters, at least: a random one of the platform has ten or more.
_DIFFERENT = 4
#: A longer text is not looked at for placeholders: the pattern would take too long.
_LONGEST_PLACEHOLDER = 100

_VISIBLE = re.compile(r"[\x21-\x7e]+")
#: What stands in guides and templates of settings where the real one belongs: `<app secret>`, `${SECRET}`, `xxxxxxxx`.
_TEMPLATE = re.compile(r"[<{\[%$].*[>}\]%]|\$\w+|[xX*._0-]+", re.DOTALL)
_WORDS = re.compile(
    r"(?:your|my|the|a|an|some|changeme|change|replace|insert|enter|put|paste|here|it|this|with|in|new|real|actual|app|"
    r"application|page|access|verify|webhook|client|facebook|meta|fb|secret|token|key|password|passwd|placeholder|"
    r"example|sample|dummy|test|todo|tbd|none|null|nil|undefined|default|value|string|goes)+"
)


def check_app_secret(secret: str, *, field: str = "app_secret") -> str:
    """``secret`` without blanks around it, if it may be an app's. Raises Invalid naming ``field``."""
    return _checked(secret, "app secret", SHORTEST_SECRET, field, "copy it whole from the app's settings")


def check_page_token(token: str, *, field: str = "token") -> str:
    """``token`` without blanks around it, if it may be a page's access token. Raises Invalid naming ``field``."""
    return _checked(token, "page access token", _SHORTEST_TOKEN, field, "copy it whole from the platform")


def check_verify_token(token: str, *, field: str = "verify_token") -> str:
    """``token`` without blanks around it, if it may be a webhook's verify token. Raises Invalid naming ``field``."""
    way_out = "make up a long word that nobody guesses, and enter it in the app's settings too"
    return _checked(token, "verify token", _SHORTEST_VERIFY_TOKEN, field, way_out)


def _checked(given: str, noun: str, shortest: int, field: str, way_out: str) -> str:
    given = given.strip()
    if len(given) < shortest:
        raise Invalid(
            f"is too short for {_a(noun)}: it has at least {shortest} characters", field=field, way_out=way_out
        )
    if len(given) > LONGEST:
        raise Invalid(f"is too long for {_a(noun)}", field=field, way_out=way_out)
    if _VISIBLE.fullmatch(given) is None:
        raise Invalid(f"has a blank or a character that {_a(noun)} has not", field=field, way_out=way_out)
    if len(set(given)) < _DIFFERENT or _is_placeholder(given[: _LONGEST_PLACEHOLDER + 1]):
        raise Invalid(f"is a placeholder, not {_a(noun)}", field=field, way_out=way_out)
    return given


def _is_placeholder(given: str) -> bool:
    if len(given) > _LONGEST_PLACEHOLDER:
        return False
    return bool(_TEMPLATE.fullmatch(given) or _WORDS.fullmatch(re.sub(r"[^a-z]", "", given.lower())))


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
