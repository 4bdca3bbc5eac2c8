"""What may be a secret: one check, whatever the way it comes."""

from __future__ import annotations

import pytest

from scheduler.errors import Invalid
from scheduler.pages.credentials import check_app_secret, check_page_token, check_verify_token


@pytest.mark.parametrize("given", ["0123456789abcdef0123456789abcdef", "fedcba9876543210", "a-secret-of-the-stage"])
def test_an_app_secret_is_taken_without_the_blanks_around_it(given: str) -> None:
    assert check_app_secret(f"  {given}\n") == given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "is too short for an app secret: it has at least 16 characters"),
        ("s", "too short"),
        ("0123456789abcde", "too short"),
        ("f" * 32, "is a placeholder"),
        ("abababababababababab", "is a placeholder"),
        ("x" * 32, "is a placeholder"),
        ("your-app-secret-here", "is a placeholder"),
        ("YOUR_APP_SECRET_1", "is a placeholder"),
        ("changeme-changeme", "is a placeholder"),
        ("${APP_SECRET_OF_OURS}", "is a placeholder"),
        ("<the-app-secret-0815>", "is a placeholder"),
        ("0123456789 abcdef", "has a blank or a character that an app secret has not"),
        ("0123456789äbcdef", "has a blank or a character"),
        ("0123456789\x00abcdef", "has a blank or a character"),
        ("0123456789abcdef" * 200, "is too long"),
    ],
)
def test_what_is_no_app_secret_is_refused_without_being_named(given: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_app_secret(given, field="secret")
    assert (refused.value.field, words in refused.value.message) == ("secret", True)
    assert len(given) < 6 or given not in str(refused.value)


@pytest.mark.parametrize("given", ["", "t", "EAA", "a b c d e f", "access_token", "xxxxxxxxxxxx"])
def test_what_is_no_page_token_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_page_token(given)
    assert refused.value.field == "token"


@pytest.mark.parametrize("given", ["", "v", "verify", "verify_token", "your-verify-token", "........"])
def test_what_is_no_verify_token_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_verify_token(given)
    assert refused.value.field == "verify_token"


def test_ordinary_tokens_are_taken() -> None:
    assert check_page_token("EAAG" + "m0PX4ZCpsBAK" * 15).startswith("EAAG")
    assert check_verify_token("letmein-8461") == "letmein-8461"
