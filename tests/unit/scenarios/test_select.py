from __future__ import annotations

import pytest

from policies.scenarios.select import chooser

NAME = 'A promotion at 21:30 waits [timezone=Europe/Berlin, country="DE"]'


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("promotion", True),
        ("PROMOTION", True),
        ("21:30", True),
        ("utility", False),
        ("not utility", True),
        ("not not promotion", True),
        ("promotion and utility", False),
        ("promotion or utility", True),
        ("utility or promotion and waits", True),
        ("(utility or promotion) and cap", False),
        ("utility or not (cap or window)", True),
        ('"at 21:30"', True),
        ("'at 21:31'", False),
        ('"and"', False),
        ("timezone=Europe/Berlin", True),
        ("""'"DE"'""", True),
    ],
)
def test_names_are_chosen_by_their_words(expression: str, chosen: bool) -> None:
    assert chooser(expression)(NAME) is chosen


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "a word is missing at the end"),
        ("a and", "a word is missing at the end"),
        ("and a", "a word is missing before `and`"),
        ("a or or b", "a word is missing before `or`"),
        ("(a or b", "`)` is missing"),
        ("a)", "`)` is not expected"),
        ("a b", "`b` is not expected here; join words by and, or, not, or put them in quotes"),
        ('"a', "a quotation mark that is not closed"),
    ],
)
def test_an_expression_that_means_nothing_is_refused(expression: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        chooser(expression)
    assert words in str(caught.value)
