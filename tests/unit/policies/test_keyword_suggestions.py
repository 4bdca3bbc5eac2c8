"""A phrase inside a sentence decides nothing: it suggests to a person, with the word that was found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType

import pytest

from policies.keyword_packs import keyword_packs
from policies.keywords import Suggestion, match_keyword, read, suggest


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("please stop messaging me", Suggestion("opt_out", "stop messaging", "en")),
        ("no quiero más mensajes, BAJA por favor", Suggestion("opt_out", "no quiero más mensajes", "es")),
        ("BAJA por favor", Suggestion("opt_out", "baja por favor", "es")),
        ("Please don’t text me again!!", Suggestion("opt_out", "don't text me", "en")),
        ("dont message me", Suggestion("opt_out", "don't message me", "en")),
        ("I want to UNSUBSCRIBE", Suggestion("opt_out", "UNSUBSCRIBE", "en")),
        ("Bitte keine Werbung mehr!", Suggestion("opt_out", "keine Werbung mehr", "de")),
        ("arrêtez de m'écrire svp", Suggestion("opt_out", "arrêtez de m'écrire", "fr")),
        ("não quero mais mensagens de vocês", Suggestion("opt_out", "não quero mais mensagens", "pt")),
        ("artık mesaj istemiyorum", Suggestion("opt_out", "artık mesaj istemiyorum", "tr")),
        ("请不要再发了", Suggestion("opt_out", "不要再发", "zh")),
        ("我要退订", Suggestion("opt_out", "退订", "zh")),
        ("もう送らないでください", Suggestion("opt_out", "もう送らないで", "ja")),
        ("제발 보내지 마세요", Suggestion("opt_out", "보내지 마세요", "ko")),
        ("กรุณาหยุดส่งข้อความ", Suggestion("opt_out", "หยุดส่งข้อความ", "th")),
        ("कृपया मैसेज मत भेजो", Suggestion("opt_out", "मैसेज मत भेजो", "hi")),
        ("пожалуйста, больше не пишите", Suggestion("opt_out", "больше не пишите", "ru")),
        ("תפסיקו לשלוח לי", Suggestion("opt_out", "תפסיקו לשלוח", "he")),
        ("من فضلك لا تَرسلوا شيئا", Suggestion("opt_out", "لا ترسلوا", "ar")),
        # The word that may be about an appointment: no opt-out, but somebody should ask.
        ("الغاء", Suggestion("opt_out", "الغاء", "ar")),
        ("can you help me", Suggestion("help", "can you help", "en")),
    ],
)
def test_a_phrase_inside_a_sentence_suggests(text: str, suggestion: Suggestion) -> None:
    assert match_keyword(text) is None
    assert suggest(text) == suggestion


def test_an_opt_out_comes_before_what_else_is_said() -> None:
    assert suggest("please help, I want to unsubscribe") == Suggestion("opt_out", "UNSUBSCRIBE", "en")


@pytest.mark.parametrize(
    "text",
    [
        "", "👍", "hello", "Where is the bus stop?", "Bus stop 4, Main St", "one-stop shop",
        "nonstop texting", "I quit smoking", "in the end it fits", "the game will not quit",
        "cancel my appointment", "الغاء الموعد",
        "quero sair daqui", "não dá para parar", "removed", "unsubscribed", "size T please", "yes", "start tomorrow",
        "x" * 30_000,
    ],
)  # fmt: skip
def test_ordinary_talk_suggests_nothing(text: str) -> None:
    assert suggest(text) is None


@pytest.mark.parametrize("text", ["STOP", "退订", "help"])
def test_what_was_acted_upon_is_not_suggested_again(text: str) -> None:
    assert suggest(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        # A strong word in few words, alone between punctuation, with courtesy and numbers around it.
        ("Stop 4", "STOP"), ("ok STOP today please, thanks", "STOP"), ("We are fine. Stop. Bye then everybody", "STOP"),
        ("Good morning dear team\nSTOP\nhave a lovely day", "STOP"), ("STOP 88231", "STOP"),
        # A weak one, with nothing but courtesy.
        ("Cancel. Thanks!", "CANCEL"), ("please end", "END"),
        # A refusal near what is refused.
        ("I do not need any of your silly newsletters", "do not need"),
    ],
)  # fmt: skip
def test_what_is_not_a_phrase_suggests_by_its_place(text: str, word: str) -> None:
    found = suggest(text)
    assert found is not None
    assert (found.meaning, found.word) == ("opt_out", word)


@pytest.mark.parametrize(
    "text",
    [
        "Cancel? I only asked for the price", "we will end up in town", "I do not need any of the blue ones", "the end",
        "I do not need it. Your newsletters are fun", "never stop!", "bus stop.", "BUS STOP", "Parada: bus stop, 4",
    ],
)  # fmt: skip
def test_the_same_words_elsewhere_suggest_nothing(text: str) -> None:
    assert suggest(text) is None


def test_every_phrase_is_found_and_decides_nothing_by_itself() -> None:
    for pack in keyword_packs():
        for each in pack.lists:
            for phrase in each.words if not each.decides else ():
                if match_keyword(phrase) is not None:
                    # Another language decides it.
                    assert match_keyword(phrase) == each.meaning, phrase
                    continue
                found = suggest(f"xx {phrase} xx" if each.reach == "anywhere" else phrase)
                if each.meaning == "opt_out":
                    assert found is not None, phrase
                    assert found.meaning == each.meaning, phrase


#: For each language some of what the packs list, short phrases among them: those stand in a message most often.
_REPEATED = {
    pack.language: sorted(words, key=lambda word: (len(word), word))[:: max(1, len(words) // 5)]
    for pack in keyword_packs()
    if (words := {word for each in (*pack.lists, *pack.parts) for word in each.words if len(word) > 3})
}


def _calls(text: str) -> int:
    """How many functions are called, built-in ones too, to read ``text``."""
    count = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        read(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("between", ["", " ", ". "])
@pytest.mark.parametrize(
    "phrases",
    [
        *_REPEATED.values(),
        ("알림은중지", "停止群发", "配信を停止"),
        ("STOP PUB", "stop my spam"),
        ("不退订", "お断り", "메시지가 안"),
    ],
    ids=[*_REPEATED, "unspaced", "said in many languages", "about something else"],
)
def test_a_message_that_repeats_a_phrase_costs_no_more_than_its_length(phrases: Sequence[str], between: str) -> None:
    longest = 2_000
    for phrase in phrases:
        text = (f"{phrase}{between}" * longest)[:longest]
        read(text)  # what is kept for each letter and word is kept from now on
        assert _calls(text) < 15 * longest, phrase


@pytest.mark.parametrize(
    ("about_something_else", "meant"),
    [("不退订", "退订"), ("구독 취소하지", "구독 취소"), ("อย่าส่งผิด", "อย่าส่ง"), ("bus stop", "stop texting")],
)  # fmt: skip
def test_among_hundreds_of_phrases_about_something_else_the_one_that_is_meant_is_found(
    about_something_else: str, meant: str
) -> None:
    many = f"{about_something_else}. " * 200
    assert suggest(many) is None
    for text in (f"{many}{meant}", f"{meant}. {many}", f"{many}{meant}. {many}"):
        found = suggest(text)
        assert found is not None, text[:40]
        assert found.meaning == "opt_out"
