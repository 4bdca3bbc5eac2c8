"""What people write when they want no more messages, and what they write about everything else, language by language.

``stop_words/LANGUAGE.txt`` has one text an entry: ``+`` for what has to opt out or reach the review list, ``-`` for
what must do neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.keyword_packs import keyword_packs
from policies.keywords import read

_FOLDER = Path(__file__).parent / "stop_words"


def _entries(language: str) -> Iterator[tuple[str, str]]:
    sign, lines = "", list[str]()
    for line in [*(_FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines(), "+ "]:
        if line[:2] in ("+ ", "- "):
            if sign:
                yield sign, "\n".join(lines).rstrip()
            sign, lines = line[0], [line[2:]]
        else:
            lines.append(line)


def _texts(wanted: str) -> list[tuple[str, str]]:
    return [
        (pack.language, text) for pack in keyword_packs() for sign, text in _entries(pack.language) if sign == wanted
    ]


def _heard(text: str) -> bool:
    meaning, suggestion = read(text)
    return meaning == "opt_out" or (suggestion is not None and suggestion.meaning == "opt_out")


@pytest.mark.parametrize(("language", "text"), _texts("+"))
def test_an_opt_out_is_heard(language: str, text: str) -> None:
    assert _heard(text)


@pytest.mark.parametrize(("language", "text"), _texts("-"))
def test_other_talk_stays_quiet(language: str, text: str) -> None:
    assert not _heard(text)


def test_every_language_has_fifteen_of_each() -> None:
    for pack in keyword_packs():
        signs = [sign for sign, _ in _entries(pack.language)]
        assert min(signs.count("+"), signs.count("-")) >= 15, pack.language


@pytest.mark.parametrize(
    "text",
    [
        # Letters of other scripts, of other shapes, and invisible ones between them.
        "ЅТОР", "STОP", "sτop", "stоp please", "сtop", "CTOП", "ＳＴＯＰ bitte", "𝗦𝗧𝗢𝗣 please", "ⓢⓣⓞⓟ now", "ꜱᴛᴏᴘ pls",
        "🅢🅣🅞🅟", "🆂🆃🅾🅿", "🇸🇹🇴🇵", "s\u3164top", "s\u034ft\u034fop thanks", "s\u200bt\u200bo\u200bp texting",
        "s̶t̶o̶p̶ please",
        "5T0P", "st0p texting me", "$top", "un5ubscribe", "unsub5cribe",
        "🛑", "🛑🛑🛑", "s t o p", "S  T  O  P please", "s_t_o_p", "s*t*o*p", "st op", "un subscribe me", "sttoopp",
        "STOPPPP IT", "sssstop!!!", "unsubscribeeee me",
    ],
)  # fmt: skip
def test_disguised_keywords_are_heard(text: str) -> None:
    assert _heard(text)


@pytest.mark.parametrize(
    "text",
    [
        # One letter away from STOP, ABMELDEN and others.
        "shop", "step", "top", "stops", "stomp", "store", "anmelden", "subscribe", "subscribed", "unsubscribed",
        # Accents make another word: Swedish best, Polish a few, Portuguese and Spanish poet and six.
        "bästa", "Parę", "şair", "seis", "nö", "rét",
        "S top", "a b c", "T T", "size s t", "0 5 7 0", "4711", "x" * 300,
    ],
)  # fmt: skip
def test_words_that_are_nearly_keywords_stay_quiet(text: str) -> None:
    meaning, suggestion = read(text)
    assert meaning != "opt_out"
    assert suggestion is None or suggestion.meaning != "opt_out"


def test_no_word_of_one_language_is_an_ordinary_text_of_another() -> None:
    quiet = {text for _, text in _texts("-")}
    for pack in keyword_packs():
        for word, meaning in pack.deciding():
            if meaning == "opt_out":
                assert word.casefold() not in {text.casefold() for text in quiet}, (pack.language, word)


def test_words_without_their_marks_decide_only_where_they_are_no_other_word() -> None:
    # HỦY with its marks is an opt-out; without them it is also a name, and ĐÚNG (right) is no DỪNG (stop).
    assert read("hủy")[0] == read("HUỶ")[0] == "opt_out"
    assert read("huy")[0] is None
    assert _heard("huy")
    assert read("Đúng") == (None, None)
    assert read("odhlasit odber")[0] == "opt_out"


def test_long_messages_are_looked_at_from_both_ends() -> None:
    prose = "Thank you for the quick answer about my order, it fits well. " * 400
    assert _heard(prose + "Please stop texting me.")
    assert _heard("Please stop texting me. " + prose)
    assert not _heard(prose)


def test_a_pattern_of_words_is_every_phrase_it_stands_for() -> None:
    assert _heard("quit pestering")
    assert _heard("cease harassing")
