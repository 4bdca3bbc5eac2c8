"""Whose secret signed a webhook: the secrets of all apps, kept in the process for a moment.

A secret that was retired verifies nothing more after at most ``_FRESH`` real seconds; one that was just added is found
at once, for what no known secret signed is looked up anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from scheduler.api.shared_look import SharedLook
from scheduler.errors import NotAuthenticated, Unavailable
from scheduler.inbox.signature import signing_app
from scheduler.pages.app_secrets import webhook_secrets
from scheduler.store import database

#: Real seconds for which secrets count as known; and from the beginning of one look to the next's, however many come
#: that nobody signed.
_FRESH = 1.0
_PAUSE = 0.05


class SecretLost(Unavailable):
    """A webhook may be signed with a secret that cannot be unsealed here."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The secrets as they were read."""

    secrets: tuple[tuple[int, bytes], ...]
    #: There is a secret that cannot be unsealed here.
    lost: bool
    #: ``time.monotonic()``.
    read_at: float


class Signers:
    """The apps that may sign."""

    def __init__(self) -> None:
        self._known = _Known((), lost=False, read_at=float("-inf"))
        self._look = SharedLook(_read, pause=_PAUSE)

    async def app_of(self, header: str | None, body: bytes, header_name: str) -> int:
        """The app that signed ``body``. Raises NotAuthenticated; SecretLost where it may be one whose key is lost."""
        if time.monotonic() - self._known.read_at <= _FRESH:
            found = signing_app(header, body, self._known.secrets)
            if found is not None:
                return found
        # Anybody may send what nobody signed: a flood of it must not take the connections that the others need.
        self._known = await self._look.at_most(0.0)
        found = signing_app(header, body, self._known.secrets)
        if found is not None:
            return found
        if self._known.lost:
            # It may be signed with the secret that is lost: asked to come back, it is not lost with it.
            raise SecretLost(
                "the webhook is not signed with a secret that can be read, and there is one that cannot",
                field=header_name,
                way_out="add the key that it was sealed with to DULY_ENCRYPTION_KEY",
            )
        raise not_signed(header_name)


def not_signed(header_name: str) -> NotAuthenticated:
    """The refusal of a webhook that none of our apps signed."""
    return NotAuthenticated(
        "the webhook is not signed with the secret of an app that is registered here",
        field=header_name,
        way_out="register the page with its app's secret, and sign the raw bytes of the body",
    )


def _read() -> _Known:
    read_at = time.monotonic()
    with database.session("webhook") as session:
        found = webhook_secrets(session)
    secrets = tuple((app, secret) for app, secret in found if secret is not None)
    return _Known(secrets, lost=len(secrets) < len(found), read_at=read_at)
