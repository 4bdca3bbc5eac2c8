"""Tables of the outbox room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class Message(SQLModel, table=True):
    """One intended send to one contact. This row is the outbox; its states' arrows are in ``arrows.py``."""

    __tablename__ = "message"
    __table_args__ = (
        Index("message_scheduled", "due_at", postgresql_where=text("state = 'scheduled' AND due_at IS NOT NULL")),
        #: Parked messages by the instant after which nothing is left of them.
        Index(
            "message_parked",
            text("least(deadline, expires_at)"),
            postgresql_where=text("state = 'scheduled' AND due_at IS NULL"),
        ),
        Index("message_due", "page_id", "lane", "deadline", "id", postgresql_where=text("state = 'due'")),
        Index("message_waiting", "contact_id", postgresql_where=text("state IN ('scheduled', 'due')")),
        #: What never went to somebody: with those that wait and those that attempts tell of, all of theirs.
        Index(
            "message_ended",
            "contact_id",
            postgresql_where=text("state IN ('denied', 'expired', 'cancelled', 'refused')"),
        ),
        Index("message_in_flight", "state_at", postgresql_where=text("state IN ('sending', 'in_doubt')")),
        #: Whether anything of a campaign is left to do.
        Index(
            "message_campaign_open",
            "campaign_id",
            postgresql_where=text("state IN ('scheduled', 'due', 'sending', 'in_doubt')"),
        ),
        Index(
            "message_campaign_once",
            "campaign_id",
            "contact_id",
            unique=True,
            postgresql_where=text("campaign_id IS NOT NULL AND resend_of IS NULL"),
        ),
        Index(
            "message_event_once",
            "event_id",
            "contact_id",
            unique=True,
            postgresql_where=text("event_id IS NOT NULL AND resend_of IS NULL"),
        ),
        #: By its hash: the platform says nothing about how long an id may be.
        Index("message_mid", "mid", postgresql_using="hash", postgresql_where=text("mid IS NOT NULL")),
        #: What a person sent again: few among many.
        Index("message_resend", "resend_of", postgresql_where=text("resend_of IS NOT NULL")),
        #: An opt-out is confirmed once.
        Index(
            "message_confirms_once",
            "confirms_record_id",
            unique=True,
            postgresql_where=text("confirms_record_id IS NOT NULL"),
        ),
        #: What needs a person, newest first: few among many.
        Index(
            "message_dead_letters", "state", "id", postgresql_where=text("state IN ('refused', 'unconfirmed', 'dead')")
        ),
        #: Those that nobody has dealt with.
        Index(
            "message_dead_letters_open",
            "id",
            postgresql_where=text("state IN ('refused', 'unconfirmed', 'dead') AND handled_at IS NULL"),
        ),
        #: What waits on a page, in the order in which it is woken.
        Index("message_scheduled_page", "page_id", "id", postgresql_where=text("state = 'scheduled'")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    template_id: int = Field(foreign_key="template.id", sa_type=BigInteger)
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", sa_type=BigInteger)
    event_id: int | None = Field(default=None, foreign_key="business_event.id", sa_type=BigInteger)
    #: The message a person chose to send again.
    resend_of: int | None = Field(default=None, foreign_key="message.id", sa_type=BigInteger)
    #: The opt-out, by its row in the ledger of consent, that it does nothing but confirm.
    confirms_record_id: int | None = Field(default=None, sa_type=BigInteger)
    #: ``utility`` | ``promotional``: the queue it waits in.
    lane: str
    category: str
    #: Of one person's messages the higher goes first (``priorities.py``).
    priority: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"})
    topic: str | None = None
    #: What the event adds to the template's variables.
    variables: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    not_before: int | None = Field(default=None, sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    #: Where only the missing ground or the unknown zone is in the way, it waits until ``expires_at`` for the person.
    may_wait: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    state: str
    #: When the current state began.
    state_at: int = Field(sa_type=BigInteger)
    #: When policy next permits it; null while parked (``wakes_on`` says what ends the wait).
    due_at: int | None = Field(default=None, sa_type=BigInteger)
    #: The end of the last permitted interval: after it there is nothing left. While it waits for the person, its
    #: expiry.
    deadline: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = None
    wakes_on: str | None = None
    ground: str | None = None
    policy_version: str | None = None
    attempts: int = Field(default=0)
    #: How often its sending broke off (a worker died or hung), over all that it sends again.
    crashes: int = Field(default=0)
    #: The platform's id of the accepted message.
    mid: str | None = None
    created_at: int = Field(sa_type=BigInteger)
    #: When a person dealt with it as a dead letter; ``dead_letter_act`` tells how.
    handled_at: int | None = Field(default=None, sa_type=BigInteger)


class Attempt(SQLModel, table=True):
    """One HTTP request for a message. Its id is the fence."""

    __tablename__ = "attempt"
    __table_args__ = (
        #: Not of those that arrived: evidence is never fenced, and may prove an attempt after a later one began.
        Index(
            "attempt_one_live_a_message",
            "message_id",
            unique=True,
            postgresql_where=text("outcome IN ('sending', 'in_doubt', 'unconfirmed')"),
        ),
        Index(
            "attempt_one_in_flight_a_contact",
            "contact_id",
            unique=True,
            postgresql_where=text("outcome = 'sending'"),
        ),
        Index("attempt_message", "message_id"),
        #: When something of a page was last begun.
        Index("attempt_page", "page_id", "begun_at"),
        #: What a token was used for: few among many.
        Index("attempt_token", "token_id", postgresql_where=text("token_id IS NOT NULL")),
        #: What caps count, and what evidence about a person may speak of.
        Index("attempt_contact", "contact_id", "begun_at"),
        #: Attempts whose fate is unknown, by the instant since which it is.
        Index(
            "attempt_in_doubt", text("coalesce(settled_at, begun_at)"), postgresql_where=text("outcome = 'in_doubt'")
        ),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    message_id: int = Field(foreign_key="message.id", sa_type=BigInteger)
    contact_id: int = Field(foreign_key="contact.id", sa_type=BigInteger)
    page_id: int = Field(foreign_key="page.id")
    category: str
    ground: str | None = None
    #: The permission token that it went on, where that was its ground.
    token_id: int | None = Field(default=None, sa_type=BigInteger)
    #: Its message does nothing but confirm an opt-out.
    confirms_opt_out: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    begun_at: int = Field(sa_type=BigInteger)
    #: ``sending`` | ``sent`` | ``refused`` | ``not_sent`` | ``in_doubt`` | ``unconfirmed``.
    outcome: str = Field(default="sending")
    #: What it says, and in which locale, sealed: ``outbox/content_record.py``. None: it is not kept any more.
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    #: When the outcome was last written.
    settled_at: int | None = Field(default=None, sa_type=BigInteger)
    http_status: int | None = None
    code: int | None = None
    subcode: int | None = None
    mid: str | None = None


class MessageLog(SQLModel, table=True):
    """One row an arrow of a message's way, with the decision behind it. Append-only."""

    __tablename__ = "message_log"
    __table_args__ = (
        Index("message_log_message", "message_id", "id"),
        #: How many messages were ever deferred, by reason: counted without reading the rows, which are wide.
        Index("message_log_deferred", "reason", "message_id", postgresql_where=text("verdict = 'defer'")),
        #: When a delivery last put something of a page aside.
        Index("message_log_page", "page_id", "at", postgresql_where=text("page_id IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    message_id: int = Field(foreign_key="message.id", sa_type=BigInteger)
    at: int = Field(sa_type=BigInteger)
    from_state: str | None = None
    to_state: str
    attempt_id: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = None
    #: Who: ``planner`` | ``tick`` | ``deliver`` | ``sweep`` | ``webhook`` | an API key's name.
    actor: str
    #: The decision, where one was taken: verdict, until, and what it was taken from.
    verdict: str | None = None
    until: int | None = Field(default=None, sa_type=BigInteger)
    because: list[str] | None = Field(default=None, sa_column=Column(ARRAY(String), nullable=True))
    ground: str | None = None
    policy_version: str | None = None
    #: The versions of the data it was taken with: of the time zones, and of the calendars of public holidays.
    tzdata: str | None = None
    holidays: str | None = None
    #: The send guard that the decision was taken with, seconds on Duly's clock.
    guard: int | None = None
    facts: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))
    #: The message's page, of what a delivery put aside; null in other rows.
    page_id: int | None = None


class DeadLetterAct(SQLModel, table=True):
    """What a person did about a dead letter, and why. Append-only."""

    __tablename__ = "dead_letter_act"
    __table_args__ = (
        Index("dead_letter_act_message", "message_id"),
        Index("dead_letter_act_resent", "resent_as", postgresql_where=text("resent_as IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    message_id: int = Field(foreign_key="message.id", sa_type=BigInteger)
    #: ``redrive`` | ``discard``.
    act: str
    #: The state it was in.
    was: str
    why: str
    actor: str
    at: int = Field(sa_type=BigInteger)
    #: The message that goes in its place.
    resent_as: int | None = Field(default=None, foreign_key="message.id", sa_type=BigInteger)
    #: The id of the request, for the logs.
    request_id: str | None = None


class WakeOrder(SQLModel, table=True):
    """Waiting messages of a page that are to be decided anew, more than one transaction should move."""

    __tablename__ = "wake_order"

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    #: None does not narrow it.
    campaign_id: int | None = Field(default=None, foreign_key="campaign.id", sa_type=BigInteger)
    category: str | None = None
    #: What ended, for those that are parked until it does; None: all that wait, and of those that wait for their person
    #: to write the ones whom a page's news may concern.
    wakes_on: str | None = None
    #: Every message in its scope up to this id is awake, so many of them through this.
    cursor: int = Field(default=0, sa_type=BigInteger)
    woken: int = Field(default=0, sa_column_kwargs={"server_default": "0"}, sa_type=BigInteger)
    ordered_at: int = Field(sa_type=BigInteger)


class Beat(SQLModel, table=True):
    """When each periodic task last ran, so that silence shows."""

    __tablename__ = "beat"

    task: str = Field(primary_key=True)
    ran_at: int = Field(sa_type=BigInteger)


class ClockSkew(SQLModel, table=True):
    """A process that does nothing, for its clock and the database's differ by too much."""

    __tablename__ = "clock_skew"

    host: str = Field(primary_key=True)
    #: Milliseconds by which its clock is ahead of the database's; below zero: behind.
    ahead_ms: int = Field(sa_type=BigInteger)
    #: Unix time of the database when it last looked.
    looked_at: int = Field(sa_type=BigInteger)
    #: A web process; else the workers of a machine.
    web: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
