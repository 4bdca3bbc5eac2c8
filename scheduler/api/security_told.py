"""Security events in the words of ``duly ops status``."""

from __future__ import annotations

from pydantic import BaseModel, Field

from scheduler.access.security import SecurityEvents
from scheduler.api.instants import Instant
from scheduler.api.security_events import WORDS


class SecurityView(BaseModel):
    """What somebody tried who may not, or took more of than there is for one, of one kind."""

    kind: str = Field(description=", ".join(f"`{kind}`" for kind in WORDS))
    recent: int = Field(description="In the last five real minutes. Twenty make an alert.")
    total: int = Field(description="Ever, over all web processes.")
    source: str | None = Field(description="An address that many of the recent ones came from.")
    last_at: Instant


def security_view(events: SecurityEvents) -> SecurityView:
    """Them, for whoever asks."""
    return SecurityView(
        kind=events.kind, recent=events.recent, total=events.total, source=events.source, last_at=events.last_at
    )


def security_words(events: SecurityEvents) -> str:
    """An alert of them."""
    where = f", many from {events.source}" if events.source else ""
    return f"{events.recent} {WORDS.get(events.kind, events.kind)} in five minutes{where}"
