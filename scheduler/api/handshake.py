"""The platform's question whether the webhook's address is ours."""

from __future__ import annotations

from scheduler.api.rates import Rates
from scheduler.api.security_events import seen
from scheduler.api.shared_look import SharedLook
from scheduler.errors import NotPermitted, TooMany
from scheduler.inbox.signature import token_known
from scheduler.pages.registry import verify_tokens
from scheduler.store import database

#: Real seconds for which tokens count as known; and from the beginning of one look to the next's.
_FRESH = 1.0
_PAUSE = 0.05


class VerifyTokens:
    """The verify tokens of all apps, kept in the process for a moment."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._look = SharedLook(_read, pause=_PAUSE)

    async def check(self, token: str, source: str) -> None:
        """Raise NotPermitted where ``token`` is not one of ours; TooMany where ``source`` tries too often.

        One that is ours passes in any case; one that was just added is found at once.
        """
        if token_known(token, await self._look.at_most(_FRESH)):
            return
        try:
            self._rates.check_failures(source)
        except TooMany:
            seen("rate_limited", source)
            raise
        if token_known(token, await self._look.at_most(0.0)):
            return
        self._rates.count_failure(source)
        seen("wrong_verify_token", source)
        raise NotPermitted(
            "the verify token is not one of ours",
            field="hub.verify_token",
            way_out="enter the verify token that the page was registered with",
        )


def _read() -> list[bytes]:
    with database.session("webhook") as session:
        return verify_tokens(session)
