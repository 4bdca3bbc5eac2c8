"""Columns that look as if they said who wants nothing any more, and that nobody mapped: a person is asked about them.

An opt-out that is left in a file is a message to somebody who said no, so a file is not checked before each such column
is mapped, or left out by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from scheduler.errors import Invalid

#: Parts of headers, without accents and folded, in the languages of the keyword packs. Whole words where a part would
#: be found in other words.
_HEADER = re.compile(
    r"un_?sub|unsuscri|opt(?:ed|s)?_?(?:outs?|in)(?:_|$)|(?:^|_)(?:dnc|dnd|dnm|gdpr|dsgvo)(?:_|$)"
    r"|do_?not_?(?:contact|message|mail|e_?mail|text|sms|call|disturb|send|market|promot)"
    r"|(?:^|_)no_(?:contact|marketing|promo\w*|newsletter|ads?|sms|e_?mails?|messages?)(?:_|$)"
    r"|suppress|blacklist|block_?(?:ed|list)|revoked|withdrawn|(?:^|_)stop(?:ped)?(?:_|$)|complain"
    r"|(?:^|_)subscri(?:bed|ber|ption)(?:_status|_state)?(?:_|$)|accepts?_\w*marketing|marketing_(?:consent|allowed|status|permission)"
    r"|consent_(?:status|state|given|ok)|(?:^|_)(?:consent|permission|newsletter)(?:_|$)"
    r"|abgemeldet|abmeldung|abbestell|widerruf|widerspr|werbesperre|werbeverbot|keine_werbung|einwilligung"
    r"|desabonn|desinscri|refus|(?:^|_)opposition|consentement"
    r"|(?:^|_)bajas?(?:_|$)|dad[oa]_de_baja|no_contactar|no_molestar|desuscri|consentimiento|suscrit"
    r"|descadastr|nao_(?:contatar|contactar|perturbe)|consentimento|disiscri|revoca|consenso"
    r"|uitgeschreven|afgemeld|toestemming|wypisan|rezygnacj|zgoda|avmeld|avregistr|samtykke|samtycke|frameld"
)
#: What cells of such a column say, whatever it is called.
_CELL = re.compile(
    r"unsubscribed?|opt(?:ed)?[ _-]?out|do not (?:contact|message|email|text|disturb)|dnc|cleaned|suppressed|revoked"
    r"|withdrawn|stop|abgemeldet|abgelehnt|desabonne|desinscrit|dad[oa] de baja|descadastrad[oa]|disiscritt[oa]"
    r"|uitgeschreven|wypisan[ya]"
)
_LONGEST_CELL = 24


def suspects(headers: Sequence[str], telling: Collection[int]) -> list[str]:
    """The columns to ask about: by their names, or because cells say it (``telling``, their positions)."""
    # Our own export says the same again in words, for people.
    known = {"suppressed"} if "opt_outs" in headers else set()
    return [
        header
        for n, header in enumerate(headers)
        if header not in known and (looks_like_opt_outs(header) or n in telling)
    ]


def looks_like_opt_outs(header: str) -> bool:
    """Whether a column of this name seems to say who wants messages, or wants none."""
    return _HEADER.search(re.sub(r"[^a-z0-9]+", "_", _folded(header)).strip("_")) is not None


def says_opted_out(cell: str) -> bool:
    """Whether a cell says in words that somebody wants no messages."""
    return len(cell) <= _LONGEST_CELL and _CELL.fullmatch(_folded(cell).strip()) is not None


def ask_about(suspects: Sequence[str], mapping: Mapping[str, str], ignored: Sequence[str]) -> None:
    """Raise Invalid naming the first of ``suspects`` (columns) that is neither mapped nor left out by name."""
    for column in suspects:
        if column not in mapping and column not in ignored:
            raise Invalid(
                "looks as if it said who wants no messages, and is not imported",
                field=f"mapping.{column[:64]}",
                way_out=f'map it (--map "{column[:64]}=opted_out" where yes means no messages), '
                f'or leave it out by name (--map "{column[:64]}=")',
            )


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))
