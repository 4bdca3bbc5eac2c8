from __future__ import annotations

import pytest

from policies.keywords import match_keyword


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop! ", "s.t.o.p", "ＳＴＯＰ", "🛑 stop 🛑", "st\u200bop", "Stop.\n", "stop all", "STOPALL",
        "opt-out", "opt out", "Unsubscribe", "cancel", "QUIT",
        "Arrêt", "ARRET", "arre\u0302t", "désabonner", "Désinscrire",
        "Stopp", "abmelden", "ABBESTELLEN",
        "baja", "no más", "NO MAS", "darse de baja", "¡ALTO!",
        "sair", "Não quero", "nao quero", "descadastrar",
    ],
)  # fmt: skip
def test_words_that_opt_out(text: str) -> None:
    assert match_keyword(text) == "opt_out"


@pytest.mark.parametrize("text", ["START", "unstop", "Subscribe", "Démarrer", "anmelden", "alta", "começar"])
def test_words_that_opt_in(text: str) -> None:
    assert match_keyword(text) == "opt_in"


@pytest.mark.parametrize("text", ["help", "INFO", "aide", "Hilfe", "ayuda", "ajuda"])
def test_words_that_ask_for_help(text: str) -> None:
    assert match_keyword(text) == "help"


@pytest.mark.parametrize(
    "text",
    ["", "  ", "🛑", "please stop", "stop by tomorrow", "nonstop", "bus stop?", "yes", "cancel my order",
     "quero sair daqui", "STOP" * 1000],
)  # fmt: skip
def test_other_messages_are_left_to_people(text: str) -> None:
    assert match_keyword(text) is None
