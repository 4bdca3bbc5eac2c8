"""Tables of the consent room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel


class ConsentRecord(SQLModel, table=True):
    """One thing a person (or the platform for them) said about being messaged. Append-only."""

    __tablename__ = "consent_record"

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, index=True)
    #: ``opt_out`` | ``opt_in`` | ``block`` | ``unblock``.
    action: str
    #: Null speaks of everything.
    topic: str | None = None
    #: ``message`` | ``postback`` | ``optin`` | ``api`` | ``operator`` | ``send_error``.
    source: str
    #: The raw platform event that proves it, where there is one.
    event_id: int | None = Field(default=None, sa_type=BigInteger)
    actor: str | None = None
    #: When the person said it, and when Duly recorded it.
    occurred_at: int = Field(sa_type=BigInteger)
    recorded_at: int = Field(sa_type=BigInteger)


class Suppression(SQLModel, table=True):
    """The durable "do not message". The projection of the ledger that decisions read."""

    __tablename__ = "suppression"
    __table_args__ = (
        Index(
            "suppression_active",
            "contact_id",
            "reason",
            text("coalesce(topic, '')"),
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    #: ``opted_out`` | ``blocked`` | ``unreachable`` | ``erased``.
    reason: str
    topic: str | None = None
    since: int = Field(sa_type=BigInteger)
    lifted_at: int | None = Field(default=None, sa_type=BigInteger)


class PermissionToken(SQLModel, table=True):
    """What a person granted on the platform: to be written to outside the messaging window.

    One row a contact, kind and topic, renewed in place; a one-time token is a row of its own. The state that decisions
    read; what was said is in the ledger. (The token of a *page* is what requests are authorised with.)
    """

    __tablename__ = "permission_token"
    __table_args__ = (
        Index("permission_token_one", "contact_id", "kind", text("coalesce(topic, '')"), "digest", unique=True),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    #: ``marketing`` (the paid API) | ``recurring`` | ``one_time``.
    kind: str
    #: What it serves; null: any topic.
    topic: str | None = None
    #: The token itself, sealed with the encryption key.
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: SHA-256 of a one-time token, to know it again; empty for the others, which are one a kind and topic.
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: When the person last granted or renewed it, by the platform's word.
    granted_at: int = Field(sa_type=BigInteger)
    #: Null: it does not expire.
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    #: When the last attempt on it began that was not refused nor proven unsent. A one-time token is spent by that.
    last_used_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The person stopped it; null while it is in force.
    stopped_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The raw platform event of the newest grant.
    event_id: int | None = Field(default=None, sa_type=BigInteger)
