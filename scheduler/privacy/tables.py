"""Tables of the privacy room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class SuppressionKey(SQLModel, table=True):
    """A "do not message" of somebody whose data was erased: all that is kept of them, under a keyed hash."""

    __tablename__ = "suppression_key"
    __table_args__ = (
        Index(
            "suppression_key_one",
            "page_id",
            "key_hash",
            "reason",
            text("coalesce(topic, '')"),
            text("coalesce(category, '')"),
            "said_by",
            unique=True,
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    #: HMAC-SHA-256 of the page and the psid, with a key that outlives every encryption key (``stable_key``).
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: As in ``suppression``: ``erased``, and what stood beside it.
    reason: str
    topic: str | None = None
    category: str | None = None
    said_by: str = Field(default="person", sa_column_kwargs={"server_default": "person"})
    since: int = Field(sa_type=BigInteger)


class Erasure(SQLModel, table=True):
    """That a contact was erased, when and why. Not finished while a message of theirs is on the wire."""

    __tablename__ = "erasure"
    __table_args__ = (Index("erasure_open", "contact_id", postgresql_where=text("finished_at IS NULL")),)

    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    actor: str
    reason: str
    erased_at: int = Field(sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Rows that went, by what they were.
    counts: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class StableKey(SQLModel, table=True):
    """A key for keyed hashes, sealed with the encryption key: it stays the same when that is changed."""

    __tablename__ = "stable_key"

    #: ``suppression`` | ``identity``.
    purpose: str = Field(primary_key=True)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RetentionMark(SQLModel, table=True):
    """How far retention has come in a table; it begins again once a day, for what it had to leave."""

    __tablename__ = "retention_mark"

    name: str = Field(primary_key=True)
    #: Everything with an id up to this was looked at.
    cursor: int = Field(sa_type=BigInteger)
    began_at: int = Field(sa_type=BigInteger)
    ran_at: int = Field(sa_type=BigInteger)
    #: Rows pruned, ever.
    pruned: int = Field(sa_type=BigInteger)
