"""What a request said, kept sealed with its attempt: the record of what somebody was told.

AES-256-GCM under a key of its own, which stays when the encryption key is changed (``store/stable_keys.py``). The
message's id is bound to it: nobody can put the words of one message into another.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session

from scheduler.content.render import Rendered
from scheduler.errors import Unavailable
from scheduler.logs import complain, get_logger
from scheduler.store.stable_keys import ensure_stable_key, stable_key

_log = get_logger(__name__)

_PURPOSE = "content"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class ContentSeal:
    """Seals and opens contents with the key of a database; without the key, lost, say, it does neither."""

    _cipher: AESGCM | None

    @classmethod
    def of(cls, session: Session) -> ContentSeal:
        """The seal of this database."""
        try:
            return cls(AESGCM(ensure_stable_key(session, _PURPOSE)))
        except Unavailable as error:
            # A message is not held up for its record.
            complain(_log, "content_not_kept", "content", way_out=error.way_out)
            return cls(None)

    @classmethod
    def reading(cls, session: Session) -> ContentSeal:
        """The same for whoever only reads: no key is made."""
        try:
            key = stable_key(session, _PURPOSE)
        except Unavailable:
            key = None
        return cls(AESGCM(key) if key is not None else None)

    def seal(self, message_id: int, content: Rendered) -> str | None:
        """``content`` sealed, in base64; None without a key."""
        if self._cipher is None:
            return None
        said = [content.locale, content.text, content.utility_name, content.utility_parameters]
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, json.dumps(said, ensure_ascii=False).encode(), _bound_to(message_id))
        return b64encode(nonce + sealed).decode()

    def open(self, message_id: int, sealed: bytes | None) -> dict[str, Any] | None:
        """locale, text, utility_name and utility_parameters; None where nothing is kept or it cannot be opened."""
        if self._cipher is None or not sealed:
            return None
        try:
            said = json.loads(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(message_id)))
        except InvalidTag:
            return None
        return dict(zip(("locale", "text", "utility_name", "utility_parameters"), said, strict=True))


def _bound_to(message_id: int) -> bytes:
    return str(message_id).encode()
