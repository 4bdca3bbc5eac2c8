"""What a process knows about pages for a moment: rate, token, app secret. Read anew every second."""

from __future__ import annotations

import time

from sqlmodel import Session

from scheduler.errors import Unavailable
from scheduler.governance.active import active_policies
from scheduler.logs import complain, get_logger
from scheduler.pages.registry import app_secrets, list_pages, page_token
from workers.send_api.client import Sender

_log = get_logger(__name__)

#: Real seconds after which a changed token or rate is seen.
_FRESH = 1.0


class Directory:
    """Pages by their ids."""

    def __init__(self) -> None:
        """Knows nobody until it is refreshed."""
        self._read_at = float("-inf")
        self._rates: dict[int, int] = {}
        self._senders: dict[int, Sender] = {}
        #: Of what each sender was made: to unseal a token costs as much as to send a message.
        self._made_of: dict[int, tuple[str, bytes, bytes]] = {}
        self._apps: dict[int, int] = {}

    def refresh(self, session: Session) -> None:
        """Read the pages again if that was more than a second ago."""
        present = time.monotonic()
        if present - self._read_at < _FRESH:
            return
        secrets = app_secrets(session)
        pages = list_pages(session)
        stopped = active_policies(session, [page.id for page in pages if page.id is not None]).unreadable
        rates: dict[int, int] = {}
        senders: dict[int, Sender] = {}
        for page in pages:
            assert page.id is not None  # a stored page has its id
            secret = secrets[page.app_id]
            # One page's lost key or unreadable policy must not silence the others; its messages wait.
            if secret is None or page.id in stopped:
                continue
            parts = (page.external_id, bytes(page.token_sealed), secret)
            sender = self._senders.get(page.id)
            if sender is None or self._made_of[page.id] != parts:
                try:
                    sender = Sender(page.external_id, page_token(page), secret.decode())
                except Unavailable as error:
                    complain(_log, "page_token_unreadable", page.id, page=page.id, way_out=error.way_out)
                    continue
            rates[page.id], senders[page.id], self._made_of[page.id] = page.rate, sender, parts
        self._rates, self._senders, self._read_at = rates, senders, present
        self._apps = {page.id: page.app_id for page in pages if page.id is not None}

    @property
    def pages(self) -> list[int]:
        """All that can be sent for."""
        return list(self._senders)

    def knows(self, page_id: int) -> bool:
        """Whether the page can be sent for."""
        return page_id in self._senders

    def rate(self, page_id: int) -> int:
        """Messages a second."""
        return self._rates[page_id]

    def sender(self, page_id: int) -> Sender:
        """Who requests of this page are made for."""
        return self._senders[page_id]

    def siblings(self, page_id: int) -> list[int]:
        """The other pages of the page's app."""
        app = self._apps.get(page_id)
        return [page for page, its in self._apps.items() if its == app and page != page_id]
