"""Tables of the consent room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Index, text
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
