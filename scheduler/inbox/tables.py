"""Tables of the inbox room. Instants are epoch seconds UTC on Duly's clock, except ``occurred_ms``."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class WebhookTrouble(SQLModel, table=True):
    """How many webhooks of a page were refused or not understood, by reason."""

    __tablename__ = "webhook_trouble"

    #: 0: of no page that is registered here. No foreign key: a count locks no page.
    page_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    reason: str = Field(primary_key=True)
    #: 0: ever. Else the beginning of the span that is counted.
    at: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    many: int = Field(sa_type=BigInteger)
    last_at: int = Field(sa_type=BigInteger)


class WebProcess(SQLModel, table=True):
    """A web process, and when it last got something done. Unix time of the database, the clock that all share."""

    __tablename__ = "web_process"

    #: Its host and process id.
    name: str = Field(primary_key=True)
    started_at: int = Field(sa_type=BigInteger)
    seen_at: int = Field(sa_type=BigInteger)


class PlatformEvent(SQLModel, table=True):
    """Anything a webhook brought, raw, once."""

    __tablename__ = "platform_event"
    __table_args__ = (
        Index("platform_event_failed", "id", postgresql_where=text("error IS NOT NULL")),
        #: When a page was last heard of.
        Index("platform_event_page", "page_id", "id"),
        #: What somebody did: for whoever asks what is known of them, and for erasing it.
        Index("platform_event_person", "psid", "page_id", postgresql_where=text("psid IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    #: Null when the webhook names a page that is not ours. No foreign key: pages are never deleted.
    page_id: int | None = None
    #: ``message`` | ``postback`` | ``optin`` | ``echo`` | ``delivery`` | ``read`` | … | ``unknown``.
    kind: str
    psid: str | None = None
    #: The platform's own identity of the event (mid, …) or a hash of it: a second arrival is dropped.
    dedupe_key: str = Field(unique=True)
    #: The platform's timestamp, milliseconds.
    occurred_ms: int | None = Field(default=None, sa_type=BigInteger)
    received_at: int = Field(sa_type=BigInteger)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    applied_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Why it could not be applied; its contact is held until a person looked.
    error: str | None = None
