"""Tables of the follow-ups room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class Recipe(SQLModel, table=True):
    """Which template a page sends when a kind of business event happens."""

    __tablename__ = "recipe"

    page_id: int = Field(foreign_key="page.id", primary_key=True)
    #: ``product.back_in_stock`` | ``order.shipped``.
    kind: str = Field(primary_key=True)
    template_id: int = Field(foreign_key="template.id", sa_type=BigInteger)
    #: Seconds after the event when a message no longer makes sense.
    expires_after: int = Field(default=72 * 3600)


class BusinessEvent(SQLModel, table=True):
    """Something the shop told Duly. ``key`` makes telling it twice harmless."""

    __tablename__ = "business_event"
    __table_args__ = (
        UniqueConstraint("page_id", "kind", "key"),
        Index("business_event_open", "id", postgresql_where=text("planned_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    kind: str
    key: str
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    occurred_at: int = Field(sa_type=BigInteger)
    received_at: int = Field(sa_type=BigInteger)
    plan_cursor: int = Field(default=0, sa_type=BigInteger)
    planned_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The id of the request that told it, for the logs.
    request_id: str | None = None


class Interest(SQLModel, table=True):
    """A person asked to be told when a product is back in stock."""

    __tablename__ = "interest"
    __table_args__ = (
        Index("interest_open", "page_id", "sku", "contact_id", unique=True, postgresql_where=text("served_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    sku: str
    asked_at: int = Field(sa_type=BigInteger)
    #: When a back-in-stock event turned it into a message.
    served_at: int | None = Field(default=None, sa_type=BigInteger)
    event_id: int | None = Field(default=None, foreign_key="business_event.id", sa_type=BigInteger)
