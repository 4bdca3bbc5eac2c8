"""Tables of the contacts room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class Contact(SQLModel, table=True):
    """A person as one page knows them. Its row lock orders every change to what may be sent to them."""

    __tablename__ = "contact"
    #: The second for audiences: keyset pages of a page's people, by id.
    __table_args__ = (
        UniqueConstraint("page_id", "psid"),
        Index("contact_page", "page_id", "id"),
        #: Whom a person has to look at, or has: few among many.
        Index(
            "contact_waiting",
            "page_id",
            "id",
            postgresql_where=text("held_at IS NOT NULL OR handover_at IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    psid: str
    name: str | None = None
    first_name: str | None = None
    locale: str | None = None
    #: ISO 3166-1 alpha-2 and 3166-2.
    country: str | None = None
    region: str | None = None
    #: Stated IANA zones; several are candidates, null is no evidence.
    timezones: list[str] | None = Field(default=None, sa_column=Column(ARRAY(String), nullable=True))
    #: Who said so: ``optin`` | ``import`` | ``api``.
    timezones_source: str | None = None
    #: Minutes east of UTC, from the platform's profile; a snapshot without rules.
    utc_offset: int | None = None
    utc_offset_read_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The newest event from the person that opens the messaging window, by its own timestamp.
    last_inbound_at: int | None = Field(default=None, sa_type=BigInteger)
    #: When the platform said that the window is closed, whatever we had counted: so it is until they write again.
    window_closed_at: int | None = Field(default=None, sa_type=BigInteger)
    #: A person has the thread; automation waits for the handback.
    handover_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Who gave it to them: ``platform`` (another app has the thread) | ``operator``.
    handover_by: str | None = None
    #: An event of theirs could not be applied; nothing goes until a person looked.
    held_at: int | None = Field(default=None, sa_type=BigInteger)
    attributes: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    created_at: int = Field(sa_type=BigInteger)


class ProfileRead(SQLModel, table=True):
    """A wish to read a person's profile on the platform; workers fulfil it."""

    __tablename__ = "profile_read"
    __table_args__ = (Index("profile_read_open", "due_at", postgresql_where=text("done_at IS NULL")),)

    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, primary_key=True, ondelete="CASCADE")
    due_at: int = Field(sa_type=BigInteger)
    attempts: int = Field(default=0)
    done_at: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str | None = None
