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
        #: What is to be planned; not what waits for its person to be known.
        Index(
            "business_event_open",
            "id",
            postgresql_where=text("planned_at IS NULL AND (contact_id IS NOT NULL OR person_key IS NULL)"),
        ),
        #: What happened to somebody, and what waits for its person to be known.
        Index("business_event_contact", "contact_id", "id", postgresql_where=text("contact_id IS NOT NULL")),
        Index(
            "business_event_unmatched",
            "page_id",
            "person_kind",
            "person_key",
            postgresql_where=text("contact_id IS NULL AND person_key IS NOT NULL"),
        ),
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
    #: Whom it is about, where it is about somebody who is known.
    contact_id: int | None = Field(default=None, foreign_key="contact.id", sa_type=BigInteger)
    #: The identity that names them, where that is not a psid; as in ``contact_identity``.
    person_kind: str | None = None
    person_key: str | None = None
    #: The id of the request that told it, for the logs.
    request_id: str | None = None


class Interest(SQLModel, table=True):
    """A person asked to be told when a product is back in stock."""

    __tablename__ = "interest"
    __table_args__ = (
        Index("interest_open", "page_id", "sku", "contact_id", unique=True, postgresql_where=text("served_at IS NULL")),
        Index("interest_contact", "contact_id", "asked_at"),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    sku: str
    asked_at: int = Field(sa_type=BigInteger)
    #: When a back-in-stock event turned it into a message.
    served_at: int | None = Field(default=None, sa_type=BigInteger)
    event_id: int | None = Field(default=None, foreign_key="business_event.id", sa_type=BigInteger)


class ProductSignal(SQLModel, table=True):
    """Somebody looked at a product, put it in a cart, or bought it. Append-only; scores are computed when read."""

    __tablename__ = "product_signal"
    __table_args__ = (Index("product_signal_contact", "contact_id", "at"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, ondelete="CASCADE")
    #: ``viewed`` | ``carted`` | ``bought``.
    kind: str
    sku: str
    name: str | None = None
    at: int = Field(sa_type=BigInteger)
    event_id: int | None = Field(default=None, foreign_key="business_event.id", sa_type=BigInteger)
