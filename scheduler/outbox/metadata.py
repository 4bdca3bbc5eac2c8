"""What goes on the wire so that an echo can be matched to its attempt: ``<message id>.<attempt id>.<MAC>``.

The platform brings ``metadata`` back in the echo webhook. The MAC keeps a page's other apps from claiming our ids.
"""

from __future__ import annotations

import base64
import hmac

from scheduler.store.secrets import derived_keys

_PURPOSE = "metadata of a message on the wire"
#: 96 bits: nobody guesses it, and the whole stays far below the platform's 1000 characters.
_MAC_BYTES = 12


def metadata_key() -> bytes:
    """What metadata is signed with now: derived once for a whole batch."""
    return derived_keys(_PURPOSE)[0]


def make_metadata(message_id: int, attempt_id: int, key: bytes | None = None) -> str:
    """The metadata that identifies this attempt on the wire; ``key`` is ``metadata_key()``, where it is at hand."""
    named = f"{message_id}.{attempt_id}"
    return f"{named}.{_mac(key or metadata_key(), named)}"


def read_metadata(metadata: str) -> tuple[int, int] | None:
    """(message id, attempt id) when we made it; None for anything else."""
    named, dot, mac = metadata.rpartition(".")
    message_id, _, attempt_id = named.partition(".")
    if not dot or not _is_id(message_id) or not _is_id(attempt_id) or not mac.isascii():
        return None
    # Every key is tried: what was sent before a change of keys is echoed after it.
    if not any(hmac.compare_digest(_mac(key, named), mac) for key in derived_keys(_PURPOSE)):
        return None
    return int(message_id), int(attempt_id)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _mac(key: bytes, named: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, named.encode(), "sha256")[:_MAC_BYTES]).decode()
