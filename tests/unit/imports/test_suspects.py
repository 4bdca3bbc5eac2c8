from __future__ import annotations

import pytest

from scheduler.imports.suspects import looks_like_opt_outs, says_opted_out, suspects


@pytest.mark.parametrize(
    "header",
    ["Unsubscribed", "unsub?", "Opt-Out", "OptedOut", "Email opt-in", "DNC", "Do Not Contact",
     "do_not_message", "No marketing", "Suppressed", "Blacklist", "Blocked", "Subscription status",
     "Subscribed", "Accepts Email Marketing", "Marketing consent", "Newsletter", "GDPR", "Stop",
     "Abgemeldet am", "Widerspruch", "Keine Werbung", "Désabonné", "Désinscrit", "Baja", "Dado de baja",
     "Consentimiento", "Descadastrado", "Não contatar", "Disiscritto", "Consenso", "Uitgeschreven",
     "Toestemming", "Zgoda"],
)  # fmt: skip
def test_a_column_of_this_name_is_asked_about(header: str) -> None:
    assert looks_like_opt_outs(header)


@pytest.mark.parametrize(
    "header",
    ["PSID", "Name", "Country", "Stopover", "Bus stops", "Points", "Block number", "Options", "Subject",
     "Optician", "Bajada", "Notes", "Noémie", "Tier", "Order number", "Submitted", "Unit", "Evidence",
     "created_at"],
)  # fmt: skip
def test_a_column_of_another_name_is_not(header: str) -> None:
    assert not looks_like_opt_outs(header)


@pytest.mark.parametrize(
    "cell", ["Unsubscribed", " opted out ", "OPT-OUT", "do not contact", "Abgemeldet", "désabonné", "cleaned"]
)
def test_cells_may_say_it_whatever_the_column_is_called(cell: str) -> None:
    assert says_opted_out(cell)


@pytest.mark.parametrize(
    "cell", ["", "yes", "subscribed", "stop the press", "Ana", "unsubscribed from the magazine of 2019"]
)
def test_other_cells_do_not(cell: str) -> None:
    assert not says_opted_out(cell)


def test_what_our_own_export_says_in_words_is_not_asked_about() -> None:
    assert suspects(["psid", "opt_outs", "suppressed"], ()) == ["opt_outs"]
    assert suspects(["psid", "suppressed"], ()) == ["suppressed"]
