"""Tables of the contacts room. Instants are epoch seconds UTC on Duly's clock."""

from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Float, Index, Numeric, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

#: The words of a contact's names, folded and without accents: a function of the database's (migration 0027).
NAME_WORDS = "duly_name_words(name, first_name)"


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
        #: Who was merged into somebody: few among many.
        #: Names are found by how their words begin, whatever their case and accents: ``finding.py``.
        Index(
            "contact_names",
            text(NAME_WORDS),
            postgresql_using="gin",
            postgresql_where=text(
                "merged_into IS NULL AND erased_at IS NULL AND (name IS NOT NULL OR first_name IS NOT NULL)"
            ),
        ),
        Index("contact_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    #: No foreign key, as in ``profile_read``.
    page_id: int
    psid: str
    name: str | None = None
    first_name: str | None = None
    locale: str | None = None
    #: ISO 3166-1 alpha-2 and 3166-2.
    country: str | None = None
    region: str | None = None
    #: Stated IANA zones; several are candidates, null means no evidence.
    timezones: list[str] | None = Field(default=None, sa_column=Column(ARRAY(String), nullable=True))
    #: Who said so: ``optin`` | ``import`` | ``api``.
    timezones_source: str | None = None
    #: Minutes east of UTC, from the platform's profile; a snapshot without rules.
    utc_offset: int | None = None
    utc_offset_read_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The newest event from the person that opens the messaging window, by its own timestamp.
    last_inbound_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The same, milliseconds, of what was told to our own app as the one that has the thread.
    heard_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: The newest message from the person that was the first after a click on a click-to-Messenger advertisement.
    ad_inbound_at: int | None = Field(default=None, sa_type=BigInteger)
    #: When the platform said that the window is closed, whatever we had counted: so it is until they write again.
    window_closed_at: int | None = Field(default=None, sa_type=BigInteger)
    #: A person has the thread; automation waits for the handback.
    handover_at: int | None = Field(default=None, sa_type=BigInteger)
    #: ``platform`` (another app has the thread) | ``person`` (of the team, who wrote from the page's inbox) |
    #: ``operator`` (of the team, who took it in Duly).
    handover_by: str | None = None
    #: An event of theirs could not be applied; nothing goes until a person looked.
    held_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Their data was erased: this row stands for nobody, and keeps what was counted.
    erased_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The contact that stands for this person from now on; nothing is sent to this one any more.
    merged_into: int | None = Field(default=None, foreign_key="contact.id", sa_type=BigInteger)
    attributes: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    created_at: int = Field(sa_type=BigInteger)


class ProfileRead(SQLModel, table=True):
    """A wish to read a person's profile on the platform; workers fulfil it."""

    __tablename__ = "profile_read"
    __table_args__ = (
        Index("profile_read_open", "page_id", "due_at", "contact_id", postgresql_where=text("done_at IS NULL")),
        #: How many of a page were asked for in the last second.
        Index("profile_read_claimed", "page_id", "claimed_at", postgresql_where=text("claimed_at IS NOT NULL")),
    )

    #: No foreign keys: contacts and pages are never deleted, and to check that they are there, once an event, was a
    #: tenth of what the inbox costs the database.
    contact_id: int = Field(sa_type=BigInteger, primary_key=True)
    page_id: int
    due_at: int = Field(sa_type=BigInteger)
    attempts: int = Field(default=0)
    #: When it was last asked for.
    claimed_at: int | None = Field(default=None, sa_type=BigInteger)
    done_at: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str | None = None


class ProfilePause(SQLModel, table=True):
    """A page whose app may not read profiles is not asked again for a while."""

    __tablename__ = "profile_pause"

    page_id: int = Field(foreign_key="page.id", primary_key=True)
    since: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    #: What the platform said, ``code 10``.
    reason: str


class PlaceEvidence(SQLModel, table=True):
    """What one source last said about where somebody is. The best row of a kind is on the contact's own row."""

    __tablename__ = "place_evidence"

    #: No foreign key: whoever writes holds the contact's row, which is never deleted, and to check it again three times
    #: a person was a sixth of an import.
    contact_id: int = Field(sa_type=BigInteger, primary_key=True)
    #: ``zone`` | ``offset`` | ``country`` | ``region`` | ``locale``.
    kind: str = Field(primary_key=True)
    #: ``api`` | ``operator`` | ``optin`` | ``import`` | ``profile``.
    source: str = Field(primary_key=True)
    #: One value; several zones are candidates. An offset is minutes east of UTC.
    value: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    #: From 0 to 1.
    confidence: float = Field(sa_column=Column(Float, nullable=False))
    #: When it was so, and when Duly was told.
    observed_at: int = Field(sa_type=BigInteger)
    recorded_at: int = Field(sa_type=BigInteger)


class ContactIdentity(SQLModel, table=True):
    """A name by which the shop knows somebody. Telephone numbers and addresses are kept as keyed hashes alone."""

    __tablename__ = "contact_identity"
    __table_args__ = (Index("contact_identity_contact", "contact_id"),)

    #: The contact's own.
    page_id: int = Field(primary_key=True)
    #: ``crm_id`` | ``phone`` | ``email``.
    kind: str = Field(primary_key=True)
    #: The shop's id as it is; a hash, in hexadecimal, of the others.
    key: str = Field(primary_key=True)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, ondelete="CASCADE")
    source: str
    linked_at: int = Field(sa_type=BigInteger)


class ContactActivity(SQLModel, table=True):
    """How much somebody was heard of in one hour of the day. See ``activity.py`` for what the weight is."""

    __tablename__ = "contact_activity"

    #: As in ``profile_read``.
    contact_id: int = Field(sa_type=BigInteger, primary_key=True)
    #: The hour is the person's own; false: UTC, because nothing told where they were.
    local: bool = Field(primary_key=True)
    hour: int = Field(sa_type=SmallInteger, primary_key=True)
    weight: Decimal = Field(sa_column=Column(Numeric, nullable=False))


class ContactThread(SQLModel, table=True):
    """What is known of who has somebody's thread: the newest instant of each, milliseconds.

    From these, in whatever order they come, follows who has it now (``holds.py``).
    """

    __tablename__ = "contact_thread"

    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger, primary_key=True, ondelete="CASCADE")
    #: A person of the team took it in Duly.
    taken_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: Another app got it.
    away_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: A person of the team wrote from the page's inbox.
    person_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: Anybody else than Duly wrote for the page.
    spoke_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: It was given back to our app, by the platform or in Duly.
    returned_ms: int | None = Field(default=None, sa_type=BigInteger)
