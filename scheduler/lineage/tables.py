"""Tables of the lineage room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel


class Lineage(SQLModel, table=True):
    """A generation of this database: from its first start, or a release, until the next release. One is open."""

    __tablename__ = "lineage"
    __table_args__ = (
        Index("lineage_one_open", text("(closed_at IS NULL)"), unique=True, postgresql_where=text("closed_at IS NULL")),
    )

    generation: str = Field(primary_key=True)
    #: The same for all generations: random, made at the first start.
    lineage: str
    #: Where the database was when the generation began: the server's own id and the database's number on it.
    home: str
    opened_at: int = Field(sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Since when nothing is sent, and why.
    held_at: int | None = Field(default=None, sa_type=BigInteger)
    held_why: str | None = None


class MarkSite(SQLModel, table=True):
    """A place where workers keep marks: a data folder, a volume."""

    __tablename__ = "mark_site"

    site: str = Field(primary_key=True)
    host: str
    seen_at: int = Field(sa_type=BigInteger)
    #: When it handed in what the database does not know, since that is held.
    handed_in_at: int | None = Field(default=None, sa_type=BigInteger)


class RestoredAttempt(SQLModel, table=True):
    """An attempt that marks tell of and the database does not know. Gone once the database is released."""

    __tablename__ = "restored_attempt"

    attempt: int = Field(sa_type=BigInteger, primary_key=True)
    message: int = Field(sa_type=BigInteger, primary_key=True)
    contact: int | None = Field(default=None, sa_type=BigInteger)
    page: int | None = None
    template: int | None = Field(default=None, sa_type=BigInteger)
    campaign: int | None = Field(default=None, sa_type=BigInteger)
    event: int | None = Field(default=None, sa_type=BigInteger)
    category: str | None = None
    lane: str | None = None
    topic: str | None = None
    ground: str | None = None
    token: int | None = Field(default=None, sa_type=BigInteger)
    begun_at: int | None = Field(default=None, sa_type=BigInteger)
    #: How it ended: ``sent`` | ``refused`` | ``not_sent`` | ``in_doubt``; null: the marks do not tell.
    result: str | None = None
    mid: str | None = None
    #: What was made of it: ``sent`` | ``unconfirmed`` | ``nothing`` (it did not go) | ``unknown`` (nothing here is
    #: about it); null: it is not settled.
    became: str | None = None
    #: The message here that it was for.
    target: int | None = Field(default=None, sa_type=BigInteger)


class RestoredChoice(SQLModel, table=True):
    """What somebody chose, or that they were erased, which the database may not know. Gone once it is released."""

    __tablename__ = "restored_choice"
    __table_args__ = (Index("restored_choice_open", "settled", postgresql_where=text("NOT settled")),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page: int
    #: A keyed hash of the page and the person.
    person: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: ``opt_out`` | ``opt_in`` | ``withdrawn`` | ``erased``.
    action: str
    source: str
    topic: str | None = None
    category: str | None = None
    said_at: int = Field(sa_type=BigInteger)
    settled: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class RestoredAct(SQLModel, table=True):
    """What a person did that the database does not know, for whoever does it again. Gone once it is released."""

    __tablename__ = "restored_act"

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    at: int = Field(sa_type=BigInteger)
    actor: str
    action: str
    about: str
