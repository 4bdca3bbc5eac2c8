"""Is a webhook from the platform? An HMAC-SHA256 over the bytes as they came, with the secret of one of our apps."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

_HEADER = re.compile(r"sha256=([0-9a-fA-F]{64})")


def well_formed(header: str | None) -> bool:
    """Whether the ``X-Hub-Signature-256`` header can be a signature at all."""
    return header is not None and _HEADER.fullmatch(header) is not None


def signing_app(header: str | None, raw: bytes, secrets: Sequence[tuple[int, bytes]]) -> int | None:
    """The app whose secret signed ``raw``, or None.

    Every secret is tried to the end and compared in constant time: how long it takes tells nothing.
    """
    match = _HEADER.fullmatch(header) if header is not None else None
    presented = bytes.fromhex(match.group(1)) if match is not None else b""
    signer: int | None = None
    for app_id, secret in secrets:
        if hmac.compare_digest(hmac.digest(secret, raw, hashlib.sha256), presented) and signer is None:
            signer = app_id
    return signer


def token_known(presented: str, tokens: Iterable[bytes]) -> bool:
    """Whether ``presented`` is one of the verify ``tokens``, compared in constant time."""
    given = presented.encode("utf-8", "replace")
    known = False
    for token in tokens:
        known |= hmac.compare_digest(given, token)
    return known
