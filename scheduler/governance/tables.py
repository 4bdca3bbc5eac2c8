"""Tables of the governance room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel


class PolicyVersion(SQLModel, table=True):
    """A policy document that was active once, by the hash of its canonical form."""

    __tablename__ = "policy_version"

    version: str = Field(primary_key=True)
    name: str
    document: str = Field(sa_column=Column(Text, nullable=False))
    created_at: int = Field(sa_type=BigInteger)


class PolicyActivation(SQLModel, table=True):
    """Which policy decides for a page from when. The newest row of a page holds; append-only."""

    __tablename__ = "policy_activation"
    __table_args__ = (Index("policy_activation_page", "page_id", "id"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    version: str = Field(foreign_key="policy_version.version")
    actor: str
    why: str
    activated_at: int = Field(sa_type=BigInteger)


class KillSwitch(SQLModel, table=True):
    """Nothing in its scope is begun while it is engaged. Null does not narrow the scope; all null is everything."""

    __tablename__ = "kill_switch"
    __table_args__ = (Index("kill_switch_engaged", "id", postgresql_where=text("released_at IS NULL")),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int | None = Field(default=None, foreign_key="page.id")
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", sa_type=BigInteger)
    #: ``promotional`` | ``utility`` | ``service``.
    category: str | None = None
    actor: str
    why: str
    engaged_at: int = Field(sa_type=BigInteger)
    released_at: int | None = Field(default=None, sa_type=BigInteger)
