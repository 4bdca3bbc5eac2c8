"""Tables of the campaigns room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Index, SmallInteger
from sqlmodel import Field, SQLModel


class Campaign(SQLModel, table=True):
    """Template, audience, schedule and limits, launched once."""

    __tablename__ = "campaign"
    __table_args__ = (Index("campaign_page", "page_id", "id"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    name: str
    template_id: int = Field(foreign_key="template.id", sa_type=BigInteger)
    #: ``everyone`` (all contacts of the page at launch) | ``list`` (the rows of ``audience_member``).
    audience: str
    #: ``draft`` | ``planning`` | ``running`` | ``paused`` | ``cancelled`` | ``finished``.
    status: str = Field(default="draft")
    not_before: int | None = Field(default=None, sa_type=BigInteger)
    #: The campaign's end. Left out by a campaign whose messages may wait, its launch sets it: what waits needs an end.
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Its place among promotions, -100 to 100: of one person's messages the higher goes first.
    priority: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"})
    #: Whether messages to people who cannot be written to yet wait for them until the end, or are denied.
    may_wait: bool = Field(default=True, sa_column_kwargs={"server_default": "true"})
    #: The planner's keyset cursor: every contact up to this id has its message row.
    plan_cursor: int = Field(default=0, sa_type=BigInteger)
    #: Contacts with a greater id came after the launch and are not in the audience.
    plan_until: int | None = Field(default=None, sa_type=BigInteger)
    planned_at: int | None = Field(default=None, sa_type=BigInteger)
    launched_at: int | None = Field(default=None, sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)
    #: The id of the request that launched it, for the logs.
    request_id: str | None = None


class AudienceMember(SQLModel, table=True):
    """A contact in a campaign's listed audience."""

    __tablename__ = "audience_member"

    campaign_id: int = Field(foreign_key="campaign.id", sa_type=BigInteger, primary_key=True, ondelete="CASCADE")
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, primary_key=True)
