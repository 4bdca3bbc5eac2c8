"""Tables of the consent room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel


class ConsentRecord(SQLModel, table=True):
    """One thing a person (or somebody for them) said about being messaged. Append-only: a trigger refuses changes."""

    __tablename__ = "consent_record"

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, index=True)
    #: ``granted`` | ``withdrawn`` | ``opt_out`` | ``opt_in`` | ``block`` | ``unblock`` | ``token_grant`` |
    #: ``token_stop`` | ``token_resume``.
    action: str
    #: Null speaks of everything.
    topic: str | None = None
    #: The category of messages they spoke of, if of one.
    category: str | None = None
    #: How far an opt-out or opt-in reaches: ``everything`` | ``category`` | ``topic``. The law may widen what was said.
    scope: str | None = None
    #: Of a grant or withdrawal ``express`` | ``implied`` | ``night``; of a block ``blocked`` | ``unreachable`` |
    #: ``erased``.
    kind: str | None = None
    #: ``message`` | ``postback`` | ``optin`` (the platform's own control) | ``import`` | ``api`` | ``operator`` |
    #: ``send_error``.
    source: str
    #: What the person read before they agreed.
    wording_id: int | None = Field(default=None, foreign_key="consent_wording.id", sa_type=BigInteger)
    #: The raw platform event that proves it, where there is one; else whatever the shop can find it by.
    event_id: int | None = Field(default=None, sa_type=BigInteger)
    evidence: str | None = None
    actor: str | None = None
    #: When a grant ends by its own terms.
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    #: When the person said it, and when Duly recorded it.
    occurred_at: int = Field(sa_type=BigInteger)
    recorded_at: int = Field(sa_type=BigInteger)
    #: Nobody who can be trusted said when it was said: it is put in order by its arrival (``ledger.py``).
    by_arrival: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class ConsentWording(SQLModel, table=True):
    """A text that people agreed to, as they read it. Append-only: a changed text is another version."""

    __tablename__ = "consent_wording"
    __table_args__ = (Index("consent_wording_once", "version", "locale", unique=True),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    #: SHA-256 of the text, in hex.
    version: str
    #: Empty: not told.
    locale: str = Field(default="")
    text: str
    created_at: int = Field(sa_type=BigInteger)


class Consent(SQLModel, table=True):
    """A grant in force: the projection of the ledger that decisions read. It may have expired."""

    __tablename__ = "consent"
    __table_args__ = (
        Index(
            "consent_one",
            "contact_id",
            text("coalesce(topic, '')"),
            "kind",
            text("coalesce(expires_at, -1)"),
            unique=True,
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    #: Null: any topic.
    topic: str | None = None
    #: ``express`` | ``implied`` | ``night``.
    kind: str
    granted_at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)


class Suppression(SQLModel, table=True):
    """The durable "do not message". The projection of the ledger that decisions read."""

    __tablename__ = "suppression"
    __table_args__ = (
        Index(
            "suppression_active",
            "contact_id",
            "reason",
            text("coalesce(topic, '')"),
            text("coalesce(category, '')"),
            "said_by",
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    #: ``opted_out`` | ``blocked`` | ``unreachable`` | ``erased``.
    reason: str
    topic: str | None = None
    #: Only messages of this category; null with a null topic: everything.
    category: str | None = None
    #: Whose word it is, which tells whose word lifts it: ``person`` | ``platform`` | ``operator``.
    said_by: str = Field(default="person", sa_column_kwargs={"server_default": "person"})
    since: int = Field(sa_type=BigInteger)
    lifted_at: int | None = Field(default=None, sa_type=BigInteger)


class ConsentReview(SQLModel, table=True):
    """Words that may have been an opt-out, for a person to judge."""

    __tablename__ = "consent_review"
    __table_args__ = (
        Index("consent_review_event", "event_id", unique=True, postgresql_where=text("event_id IS NOT NULL")),
        #: Whose promotional messages wait.
        Index(
            "consent_review_waiting",
            "contact_id",
            postgresql_where=text("decided_at IS NULL AND meaning = 'opt_out'"),
        ),
        Index("consent_review_open", "id", postgresql_where=text("decided_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    event_id: int | None = Field(default=None, sa_type=BigInteger)
    #: ``opt_out`` | ``opt_in`` | ``help``: what the phrase suggests.
    meaning: str
    phrase: str
    said_at: int = Field(sa_type=BigInteger)
    suggested_at: int = Field(sa_type=BigInteger)
    decided_at: int | None = Field(default=None, sa_type=BigInteger)
    #: ``opt_out`` | ``opt_in`` | ``nothing``: what a person made of it.
    decision: str | None = None
    decided_by: str | None = None


class ConsentSetting(SQLModel, table=True):
    """What a page does about opt-outs; a page without a row has the defaults."""

    __tablename__ = "consent_setting"

    page_id: int = Field(foreign_key="page.id", primary_key=True, ondelete="CASCADE")
    #: The service template, by name, that confirms an opt-out; null: none is sent.
    confirmation_template: str | None = None
    #: How far a STOP without a topic reaches: ``everything`` | ``law`` (what the person's jurisdictions ask at least).
    opt_out_scope: str = Field(default="everything", sa_column_kwargs={"server_default": "everything"})
    changed_at: int = Field(sa_type=BigInteger)


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
