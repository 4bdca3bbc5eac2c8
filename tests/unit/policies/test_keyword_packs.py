"""The keyword packs: every language has its words with their grounds, and a pack that is not whole is refused."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from policies.folding import forms
from policies.keyword_packs import keyword_packs, read_keyword_pack
from policies.keywords import Suggestion, match_keyword, suggest
from policies.law import jurisdiction_pack, jurisdictions_with_packs
from policies.toml_source import PolicyError

LANGUAGES = {
    "ar", "cs", "da", "de", "el", "en", "es", "fi", "fil", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "nl", "no",
    "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh",
}  # fmt: skip

#: What people reply in these languages, by the research that the packs rest on (AWS, Braze, Telnyx, the FCC's rule, …).
RESEARCHED = {
    "en": "STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, STOP ALL, REVOKE, OPTOUT, OPT OUT, OPT-OUT, REMOVE",
    "fr": "STOP, ARRET, ARRÊT, DESABONNER, ANNULER",
    "de": "STOP, STOPP, ABMELDEN, AUSTRAGEN, ABBESTELLEN",
    "es": "BAJA, ALTO, PARAR, CANCELAR, NO MAS, DARSE DE BAJA",
    "pt": "SAIR, PARAR, CANCELAR, REMOVER, DESCADASTRAR, NAO QUERO",
    "it": "STOP, ANNULLA, CANCELLA, DISISCRIVI",
    "nl": "STOP, AFMELDEN, UITSCHRIJVEN",
    "pl": "STOP, WYPISZ, REZYGNUJE",
    "sv": "STOPP, AVSLUTA",
    "tr": "RET, İPTAL, IPTAL, DUR",
    "ja": "停止, 配信停止, 送信停止, 解除, 購読解除, 登録解除",
    "ko": "수신거부, 무료수신거부, 거부, 중단",
    "ar": "إيقاف, ايقاف, إلغاء الاشتراك, الغاء الاشتراك, إيقاف الرسائل, توقف",
    "he": "הסר, הסרה",
    "zh": "TD, T, 退订, 退訂",
    "hi": "STOP, बंद करें, रोकें",
    "vi": "TC, TUCHOI",
    "ru": "СТОП, ОТПИСАТЬСЯ",
    "id": "STOP, BERHENTI, UNREG",
    "th": "ยกเลิก",
}
HELP = {
    "en": "HELP, INFO", "fr": "AIDE, INFO", "de": "HILFE", "es": "AYUDA", "pt": "AJUDA", "it": "AIUTO", "nl": "HELP",
    "pl": "POMOC", "sv": "HJÄLP", "tr": "YARDIM", "ja": "ヘルプ", "ko": "도움말", "ar": "مساعدة",
}  # fmt: skip


def test_every_language_has_words_to_opt_out_to_opt_in_and_to_ask_for_help() -> None:
    assert {pack.language for pack in keyword_packs()} == LANGUAGES
    for pack in keyword_packs():
        assert {meaning for _, meaning in pack.deciding()} == {"opt_out", "opt_in", "help"}, pack.language


@pytest.mark.parametrize("language", RESEARCHED)
def test_the_words_that_research_found_are_in_the_pack_of_their_language(language: str) -> None:
    [pack] = [pack for pack in keyword_packs() if pack.language == language]
    known = {form: meaning for word, meaning in pack.deciding() for form in forms(word)}
    for word in RESEARCHED[language].split(", "):
        assert known[forms(word)[0]] == match_keyword(word) == "opt_out", word
    for word in filter(None, HELP.get(language, "").split(", ")):
        assert known[forms(word)[0]] == match_keyword(word) == "help", word


def test_forms_that_languages_share_mean_the_same_in_each() -> None:
    shared: dict[str, dict[str, str]] = defaultdict(dict)
    for pack in keyword_packs():
        for word, meaning in pack.deciding():
            for form in forms(word):
                shared[form][pack.language] = meaning
    shared = {form: meanings for form, meanings in shared.items() if len(meanings) > 1}
    assert {form: " ".join(sorted(meanings)) for form, meanings in shared.items()} == {
        "afmelding": "da nl",
        "cancelar": "es pt",
        "frameld": "da no",
        "help": "en nl",
        "info": "en fr",
        "iniciar": "es pt",
        "pomoc": "cs pl",
        "parar": "es pt",
        "start": "da de en nl no pl",
        "stop": "cs da de el en es fi fil fr hi hu id it nl no pl pt ro ru sv tr uk vi",
        "stop sms": "fr it",
        "stopp": "de no sv",
        "старт": "ru uk",
        "стоп": "ru uk",
        "停止": "ja zh",
    }
    for form, meanings in shared.items():
        assert len(set(meanings.values())) == 1, form


def test_no_ordinary_word_of_one_language_opts_in_through_another() -> None:
    # It may opt out: an opt-out too many is better than one too few.
    for pack in keyword_packs():
        for ordinary in pack.ordinary:
            assert match_keyword(ordinary.word) in (None, "opt_out"), (pack.language, ordinary.word)


def test_the_words_that_laws_name_opt_out() -> None:
    named = {
        word
        for code in jurisdictions_with_packs()
        if (pack := jurisdiction_pack(code)) and pack.opt_out
        for word in pack.opt_out.words
    }
    assert len(named) > 10
    assert {word for word in named if match_keyword(word) != "opt_out"} == {"NO"}
    # NO answers any question: a person has to tell.
    assert suggest("No.") == Suggestion("opt_out", "NO", "en")


def test_what_is_only_remembered_is_not_called_sure() -> None:
    for pack in keyword_packs():
        for each in pack.lists:
            if each.checked in ("memory", "community"):
                assert each.confidence != "high", (pack.language, each.words)


WHOLE = """\
language = "xx"
reviewed_on = 2026-11-21
note = "A language for this test."

[[opt_out]]
words = ["HALT", "GO AWAY"]
source = "somebody"
checked = "memory"
confidence = "low"

[[suggest]]
meaning = "opt_out"
words = ["leave me be"]
source = "somebody"
checked = "memory"
confidence = "low"

[[ordinary]]
words = ["MAYBE"]
because = "It is not certain."
"""


def test_the_pack_of_this_test_can_be_read() -> None:
    pack = read_keyword_pack(WHOLE, where="xx.toml", language="xx")
    assert list(pack.deciding()) == [("HALT", "opt_out"), ("GO AWAY", "opt_out")]
    assert pack.ordinary[0].because == "It is not certain."


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('note = "A language for this test."', "", "xx.toml: `note` is missing"),
        ("reviewed_on = 2026-11-21", 'reviewed_on = "2026-11-21"', "xx.toml:2: `reviewed_on`: must be a date"),
        ("2026-11-21", "2026-11-21T00:00:00Z", "xx.toml:2: `reviewed_on`: must be a date"),
        ('language = "xx"', 'language = "yy"', "xx.toml:1: `language`: `yy` must be the language code"),
        ("note =", "colour = 1\nnote =", "xx.toml:3: `colour`: is not known here; known are"),
        ("[[opt_out]]", "[[optout]]", "xx.toml:5: `optout`: is not known here"),
        ('"GO AWAY"', '"Halt!"', "xx.toml:6: `opt_out.words`: `Halt!` is there twice: `HALT` is compared as the same"),
        ('"GO AWAY"', '"GO AWAY", "GO-AWAY"', "xx.toml:6: `opt_out.words`: `GO-AWAY` is there twice"),
        ('"GO AWAY"', '"HALT"', "xx.toml:6: `opt_out.words`: names something twice"),
        ('"GO AWAY"', '"🛑"', "xx.toml:6: `opt_out.words`: nothing of `🛑` is left to compare"),
        ('"GO AWAY"', '"\u200b"', "xx.toml:6: `opt_out.words`: nothing of `\u200b` is left to compare"),
        ('"leave me be"', '"go away"', "xx.toml:13: `suggest.words`: `go away` means two things: it is in `opt_out`"),
        ('"MAYBE"', '"halt"', "xx.toml:19: `ordinary.words`: `halt` means two things: it is in `opt_out`"),
        ('["HALT", "GO AWAY"]', "[]", "xx.toml:6: `opt_out.words`: must name at least one word"),
        ('["HALT", "GO AWAY"]', '"HALT"', "xx.toml:6: `opt_out.words`: must be a list of texts"),
        ('source = "somebody"\n', "", "xx.toml:5: `opt_out`: `source` is missing"),
        ('"memory"', '"hearsay"', "xx.toml:8: `opt_out.checked`: `hearsay` is none of statute, carrier, vendor"),
        ('"low"', '"certain"', "xx.toml:9: `opt_out.confidence`: `certain` is none of high, medium, low"),
        ('meaning = "opt_out"', 'meaning = "go"', "xx.toml:12: `suggest.meaning`: `go` is none of opt_out, opt_in"),
        ('confidence = "low"\n\n[[s', 'confidence = "low"\nsuggests = "x"\n\n[[s', "`opt_out.suggests`: `x` is none"),
        ('["leave me be"]', '["leave [me|us"]', "xx.toml:13: `suggest.words`: `leave [me|us`: write a choice as"),
        ('["leave me be"]', '["[a|b] [c|[d]]"]', "xx.toml:13: `suggest.words`: `[a|b] [c|[d]]`: write a choice as"),
        ('because = "It is not certain."', "", "xx.toml:18: `ordinary`: `because` is missing"),
        ('because = "It', 'may_mean = "x"\nbecause = "It', "xx.toml:20: `ordinary.may_mean`: `x` is none of"),
        ("[[opt_out]]", "[[help]]", "xx.toml: `opt_out`: a pack needs at least one word that opts out"),
        ("[[ordinary]]", "[[ordinary]", "xx.toml:18: is not TOML"),
    ],
)  # fmt: skip
def test_a_pack_that_is_not_whole_is_refused_with_its_line(old: str, new: str, problem: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(problem)):
        read_keyword_pack(WHOLE.replace(old, new, 1), where="xx.toml", language="xx")
