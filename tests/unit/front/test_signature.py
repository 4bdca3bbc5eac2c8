from __future__ import annotations

import hashlib
import hmac

import pytest

from scheduler.inbox.signature import signing_app, token_known, well_formed

SECRETS = [(1, b"first"), (2, b"second")]
BODY = b'{"text":"\\u00e4"}'


def _sign(body: bytes, secret: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def test_the_app_whose_secret_signed_is_found() -> None:
    assert signing_app(_sign(BODY, b"first"), BODY, SECRETS) == 1
    assert signing_app(_sign(BODY, b"second"), BODY, SECRETS) == 2
    assert signing_app(_sign(BODY, b"third"), BODY, SECRETS) is None
    assert signing_app(_sign(BODY, b"first"), BODY.replace(b"e4", b"E4"), SECRETS) is None


@pytest.mark.parametrize("header", [None, "", "sha256=", "sha256=zz", "sha1=" + "0" * 40, "sha256=" + "0" * 65])
def test_without_a_well_formed_header_nobody_signed(header: str | None) -> None:
    assert not well_formed(header)
    assert signing_app(header, BODY, SECRETS) is None


def test_without_apps_nobody_signed() -> None:
    assert signing_app(_sign(BODY, b""), BODY, []) is None


def test_verify_tokens_are_compared_whole() -> None:
    assert token_known("b", [b"a", b"b"])
    assert not token_known("", [b"a"])
    assert not token_known("a", [])
    assert token_known("é", ["é".encode()])
