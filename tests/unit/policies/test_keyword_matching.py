"""A message that is a keyword as a whole decides, however it was typed; everything else is left to people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.folding import forms, normalise
from policies.keyword_packs import keyword_packs
from policies.keywords import match_keyword, read

EVERY_WORD = [(pack.language, word, meaning) for pack in keyword_packs() for word, meaning in pack.deciding()]


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop! ", "s.t.o.p", "ＳＴＯＰ", "🛑 stop 🛑", "st\u200bop", "Stop.\n", "stop all", "STOPALL",
        "\u2066stop\u2069", "ST\u00adOP", "\ufeffstop", "STOP™", "stop\u00b4", "stop 👍🏽", "4️⃣"[1:] + "stop", "„Stopp“",
        "STOP STOP STOP", "stop. stop!", "stop   all", "stop\u00a0all",
        "opt-out", "opt out", "OPTOUT", "opt—out", "Unsubscribe", "cancel", "QUIT", "end.", "revoke", "remove",
        "Arrêt", "ARRET", "arre\u0302t", "désabonner", "Désinscrire", "me désinscrire",
        "Stopp", "abmelden", "ABBESTELLEN",
        "baja", "no más", "NO MAS", "darse de baja", "¡ALTO!", "no-más",
        "sair", "Não quero", "nao quero", "descadastrar", "parar", "Sair.",
        "RET", "ret", "İPTAL", "IPTAL", "iptal", "ıptal", "İptal", "i\u0307ptal", "dur",
        "退订", "退訂", "TD", "td", "T", "ｔ", "退 订", "【退订】",
        "停止", "配信停止", "配信 停止", "ｽﾄｯﾌﾟ", "ストップ",
        "수신거부", "수신 거부", "무료수신거부", unicodedata.normalize("NFD", "수신거부"),
        "إيقاف", "ايقاف", "إيـــقاف", "إِيقَاف", "إلغاء الاشتراك", "الغاء الاشتراك", "الغا الاشتراك", "توقف",
        "הסר", "הָסֵר", "הסרה",
        "बंद करें", "बन्द करें", "बंद\u200d करें", "रोकें", "बँद करें",
        "ยกเลิก", "หยุด", "tu choi", "TUCHOI", "từ chối", "tc", "hủy đăng ký", "huy dang ky",
        "СТОП", "отписаться", "о\u0301тписка", "BERHENTI", "unreg", "REZYGNUJE", "rezygnuję", "wypisz", "avsluta",
    ],
)  # fmt: skip
def test_words_that_opt_out(text: str) -> None:
    assert match_keyword(text) == "opt_out"


@pytest.mark.parametrize("text", ["Start?", "subscribe？", "¿alta?", "START ?!", "اشتراك؟"])
def test_a_question_opts_nobody_in(text: str) -> None:
    assert match_keyword(text) is None
    assert read(text) == (None, None)


def test_a_question_may_opt_out() -> None:
    assert match_keyword("stop?") == "opt_out"


@pytest.mark.parametrize(
    "text", ["START", "unstop", "Subscribe", "Démarrer", "anmelden", "alta", "começar", "s´abonner"]
)
def test_words_that_opt_in(text: str) -> None:
    assert match_keyword(text) == "opt_in"


@pytest.mark.parametrize(
    "text", ["help", "INFO", "aide", "Hilfe", "ayuda", "ajuda", "hjalp", "ヘルプ", "도움말", "مساعده"]
)
def test_words_that_ask_for_help(text: str) -> None:
    assert match_keyword(text) == "help"


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "🛑", "👍", "\u200b", "please stop", "stop by tomorrow", "nonstop", "STOP" * 1000,
        # An appointment or an order, not a subscription.
        "cancel my order", "Cancel my appointment please", "الغاء", "إلغاء", "الغاء الموعد", "إلغاء موعدي",
        "annuler ma commande",
        # Ordinary sentences.
        "quero sair daqui", "vou sair agora", "não dá para parar", "pode parar na esquina?", "para sair de casa",
        # Addresses and transit.
        "bus stop?", "Stop 4", "Bus stop 4, Main St", "next stop: Camden", "the stop is opposite", "one-stop shop",
        # Games and flows.
        "end game", "the end", "I quit smoking", "quit the game", "rage quit", "game over",
        # Answers to other questions opt nobody in, and nobody out.
        "yes", "YES", "Y", "ok", "sí", "oui", "ja", "sim", "evet", "はい", "no", "non", "nein", "nie", "VOLTAR",
        # One letter is a keyword only by itself.
        "T T", "T-shirt", "size T", "T_T",
        # Vowels make the word: they are not decoration.
        "बदं करे", "रक", "ยกลก",
    ],
)  # fmt: skip
def test_other_messages_are_left_to_people(text: str) -> None:
    assert match_keyword(text) is None


@pytest.mark.parametrize(("language", "word", "meaning"), EVERY_WORD)
def test_every_word_is_known_as_its_pack_says_however_it_is_typed(language: str, word: str, meaning: str) -> None:
    for typed in (
        word, word.lower(), word.upper(), f"  {word}!\n", f"👋🏽 {word}.", f"\u200e{word}\u200f", f"«{word}»",
        word.replace(" ", "  "), word.replace(" ", "\u00a0"),
        unicodedata.normalize("NFD", word), unicodedata.normalize("NFKC", word),
    ):  # fmt: skip
        assert match_keyword(typed) == meaning, (language, typed)


def test_marks_that_make_a_word_survive() -> None:
    assert normalise("बंद करें") == "बंद करें"
    assert normalise("ยกเลิก") == "ยกเลิก"
    assert normalise("ヘルプ") == "ヘルプ" != normalise("ヘルフ")
    assert normalise("й") == "й" != normalise("и")
    assert normalise("हाँ") == normalise("हां") != normalise("हा")
    assert normalise("ё") == normalise("е")


def test_a_keyword_buried_in_decoration_is_found_and_length_alone_cuts_nothing() -> None:
    assert match_keyword("🛑" * 5000 + "stop" + "!" * 5000) == "opt_out"
    assert match_keyword("darse" + " " * 500 + "de" + " " * 500 + "baja") == "opt_out"


def test_a_long_message_is_judged_in_a_moment() -> None:
    assert match_keyword("stop " * 3999 + "x") is None
    assert match_keyword("e\u0301" * 10_000) is None
    assert match_keyword("x" * 10_000_000) is None
    # Time that grew with the square of the length would be hours: the test's own limit would end it.


@given(st.text())
def test_any_text_can_be_folded_and_folding_again_changes_nothing(text: str) -> None:
    match_keyword(text)
    for form in forms(text):
        assert form == form.strip()
        assert "  " not in form
        assert normalise(form) == form
