"""Tables of the pages room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class App(SQLModel, table=True):
    """The platform app whose secret signs the webhooks of its pages."""

    __tablename__ = "app"

    id: int | None = Field(default=None, primary_key=True)
    external_id: str = Field(unique=True)
    #: Sealed with the encryption key; never stored in the clear.
    secret_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: The one before it, sealed, while both sign; null: there is none any more.
    previous_secret_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    #: When the secret was last changed.
    secret_changed_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Whether our requests are proven with the older of two secrets. A new one proves nothing until the platform
    #: refuses the older, so that one that was mistyped stops nobody.
    proves_with_previous: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    #: When the platform refused the one and the other was taken; once for each change of the secret.
    proof_turned_at: int | None = Field(default=None, sa_type=BigInteger)
    #: What the webhook handshake must present, sealed.
    verify_token_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_type=BigInteger)


class Page(SQLModel, table=True):
    """A sending account: token, limits, mode."""

    __tablename__ = "page"
    __table_args__ = (UniqueConstraint("channel", "external_id"),)

    id: int | None = Field(default=None, primary_key=True)
    app_id: int = Field(foreign_key="app.id", index=True)
    channel: str = Field(default="messenger")
    external_id: str
    name: str
    #: ``test`` sends to the allow-list only; ``live`` to everyone policy permits.
    mode: str = Field(default="test")
    token_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: Messages a second, over all workers.
    rate: int = Field(default=30)
    #: What paid marketing messages are sent through, both or neither: the platform's ids of the ad account and of the
    #: message campaign in it.
    ad_account_id: str | None = None
    message_campaign_id: str | None = None
    #: Set when the platform refuses the page as a whole (a bad token, say); null while it may send.
    stopped_reason: str | None = None
    stopped_at: int | None = Field(default=None, sa_type=BigInteger)
    #: When a stopped page is next looked at, and how often it was since it last worked for a day.
    probe_at: int | None = Field(default=None, sa_type=BigInteger)
    probes: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    #: The newest event of the platform's policy enforcement, milliseconds: an older one changes nothing any more.
    enforced_ms: int | None = Field(default=None, sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)


class PageAllowed(SQLModel, table=True):
    """Somebody a page in mode ``test`` may message."""

    __tablename__ = "page_allowed"

    page_id: int = Field(foreign_key="page.id", primary_key=True, ondelete="CASCADE")
    psid: str = Field(primary_key=True)
