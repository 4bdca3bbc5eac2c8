"""What the payload of a button, a quick reply or a link asks for, in whatever form its author chose.

Nobody types a payload: the shop's own bots and menus write it, as plain words (``stop``), as a name (``MENU_STOP``,
``optOut``, ``menu-4-unsubscribe``), as JSON of any depth, or as an address with a query. A payload never opts anybody
in here: whoever wants that says ``START``, which the caller knows by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

from policies.keywords import Suggestion, is_opt_out, match_keyword, suggest

#: The platform allows 1,000 characters.
_LONGEST = 4_000
#: JSON in JSON in JSON.
_DEEPEST = 6
_MOST_PARTS = 100

#: Words that name the control and not what it does.
_OF_CONTROLS = frozenset(
    """
    a action actions answer defined developer for app bot btn button buttons callback choice click
    cmd code command cta data default do event events fb flow from go goto handler http https i id
    intent item key kind label link main me menu messenger msg my name node on op option page
    payload persistent postback press q qr quick quickreply ref reply request response root route
    select selected source state step sub submenu submit tap text the title to trigger type ui url
    user v val value version webhook www yes true 1
    """.split()  # noqa: SIM905  # a list of words to read, not of strings
)

#: Words after or before which the opt-out is spoken of, or called off, and not asked for.
_CALLED_OFF = frozenset(
    """
    no not dont don never cancel undo back keep abort nevermind faq info about how why help learn
    confirmed success done already resubscribe resubscribed
    cancelled canceled cancels cancelling canceling aborted undone kept failed failure error
    """.split()  # noqa: SIM905  # a list of words to read, not of strings
)

#: Names of the opt-out itself; ``stop`` needs to say of what. A single topic (a newsletter) is for a person to judge.
_OPT_OUTS = frozenset({"unsub", "unsubscribe", "unsubme", "unsubscribeme", "unsuball", "optout"})
_MESSAGES = frozenset({
    "all", "everything", "message", "messages", "messaging", "marketing", "promo", "promos", "promotion", "promotions",
    "promotional",
})  # fmt: skip
#: What may stand beside either without saying anything else.
_FILLERS = _MESSAGES | {"me", "us", "usr", "my", "please", "now", "list", "lists"}

_NAME = re.compile(r"[^\W_]+")
#: ``optOut``, ``menuSTOPNow``: where a name written without spaces goes on to its next word.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
#: What a form's tick box is called whose absence is an opt-out: ``{"newsletter": false}``.
_WANTED = frozenset(
    """
    subscribe subscribed optin consent marketing newsletter promotions notifications
    """.split()  # noqa: SIM905  # a list of words to read, not of strings
)


@dataclass(slots=True, frozen=True)
class Asked:
    """What a payload asks for: an opt-out, or what may be one, or neither."""

    opt_out: bool = False
    suggestion: Suggestion | None = None
    #: It names something else than the control itself (``CANCEL_ORDER``, ``colour-red``).
    specific: bool = False


def read_payload(payload: str) -> Asked:
    """What ``payload`` asks for. Bounded whatever it is; never raises."""
    opt_out, specific = False, False
    suggestions: list[Suggestion] = []
    for part in _parts(payload[:_LONGEST]):
        asked = _part(part)
        opt_out, specific = opt_out or asked.opt_out, specific or asked.specific
        if asked.suggestion is not None:
            suggestions.append(asked.suggestion)
    return Asked(opt_out, None if opt_out or not suggestions else suggestions[0], specific)


def _part(part: str) -> Asked:
    words = [word.casefold() for name in _NAME.findall(part) for word in _CAMEL.split(name) if word]
    telling = [word for word in words if word not in _OF_CONTROLS and not word.isdigit()]
    if not telling:
        return Asked()
    said = " ".join(telling)
    # T and TD are too short to be anybody's name for an opt-out.
    if len(said) > 2 and (is_opt_out(said) or is_opt_out(said.replace(" ", ""))):
        return Asked(opt_out=True)
    if not _CALLED_OFF.isdisjoint(telling):
        return Asked(specific=True)
    if _nothing_but_an_opt_out(telling):
        return Asked(opt_out=True)
    found = suggest(said)
    if found is not None and found.meaning == "opt_out":
        return Asked(suggestion=found)
    for word in telling:
        # `usrunsubscribe`, `unsubscribeme`
        for sure in ("unsubscribe", "optout"):
            if sure in word and word != "unsubscribed":
                return Asked(suggestion=Suggestion("opt_out", sure.upper(), "en"))
    return Asked(specific=match_keyword(said) is None)


def _nothing_but_an_opt_out(telling: list[str]) -> bool:
    words = [*" ".join(telling).replace("opt out", "optout").split()]
    rest = [word for word in words if word not in _OPT_OUTS]
    if len(rest) < len(words):
        return _FILLERS.issuperset(rest)
    objects = [word for word in words if word != "stop"]
    return len(objects) < len(words) and not _MESSAGES.isdisjoint(objects) and _FILLERS.issuperset(objects)


def _parts(payload: str) -> Iterator[str]:
    """The texts in the payload that may say something: itself, or what its JSON has."""
    left = [_MOST_PARTS]
    yield from _texts(_json(payload), 0, left)


def _json(text: str) -> object:
    stripped = text.strip()
    if stripped[:1] in ("{", "[", '"'):
        try:
            return json.loads(stripped)
        except (ValueError, RecursionError):
            return _plain(text)
    return _plain(text)


def _plain(text: str) -> str:
    return unquote_plus(text) if "%" in text else text


def _texts(value: object, depth: int, left: list[int]) -> Iterator[str]:
    if depth > _DEEPEST or left[0] <= 0:
        return
    left[0] -= 1
    if isinstance(value, str):
        inner = _json(value) if depth and value.strip()[:1] in ("{", "[", '"') else value
        if isinstance(inner, str):
            yield _plain(inner)
        else:
            yield from _texts(inner, depth + 1, left)
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, dict | list):
                yield from _texts(each, depth + 1, left)
            elif (switch := _switch(each)) is not None:
                yield from _switched(key, on=switch)
            else:
                yield from _texts(each, depth + 1, left)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, depth + 1, left)


def _switch(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "yes": True, "false": False, "no": False, "off": False, "0": False}.get(
            value.strip().lower()
        )
    return value if isinstance(value, bool) else (False if value == 0 and value is not None else None)


def _switched(key: str, *, on: bool) -> Iterator[str]:
    """``"unsubscribe": true`` says its key; ``"newsletter": false`` may say the opposite of its key."""
    if on:
        yield key
    elif _WANTED.intersection(word.casefold() for word in _CAMEL.sub(" ", key.replace("_", " ")).split()):
        yield f"{key} unsubscribe"
