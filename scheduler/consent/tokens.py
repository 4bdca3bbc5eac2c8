"""Permissions to write outside the messaging window that people grant on the platform, stop, and let go on.

Events arrive late, twice and out of order. Every word goes into the ledger; what is in force is made from it by the
instants at which things were said, so that any order leaves the same: a token is stopped by the newest stop on its
topic that no newer grant and no newer resume answers. Of one instant's words the stop counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import text
from sqlmodel import Session

from scheduler.consent.ledger import Entry, append
from scheduler.contacts.lock import lock_contacts
from scheduler.errors import Invalid
from scheduler.outbox.wake import wake_contacts
from scheduler.store.secrets import seal, unseal_text

Kind = Literal["marketing", "recurring", "one_time"]
Grant = Literal["notification_messages", "marketing", "recurring", "one_time"]
#: What a grant gives. The opt-in event of ``notification_messages`` does not tell whether its token is one of the free
#: recurring notifications or of the paid marketing messages: the platform takes the same one for either, each where it
#: is available (?). Policy knows where.
GRANTS: dict[Grant, tuple[Kind, ...]] = {
    "notification_messages": ("marketing", "recurring"),
    "marketing": ("marketing",),
    "recurring": ("recurring",),
    "one_time": ("one_time",),
}
#: The actions in the ledger.
GRANTED, STOPPED, RESUMED = "token_grant", "token_stop", "token_resume"
#: The longest token that the platform would give: whatever is longer is none.
_LONGEST = 4096

#: The newest grant's text and term stand.
_GRANT = text("""
    INSERT INTO permission_token (contact_id, kind, topic, sealed, digest, granted_at, expires_at, event_id)
    SELECT contact_id, kind, topic, sealed, digest, granted_at, expires_at, event_id
    FROM unnest(CAST(:contacts AS bigint[]), CAST(:kinds AS text[]), CAST(:topics AS text[]), CAST(:seals AS bytea[]),
        CAST(:digests AS bytea[]), CAST(:moments AS bigint[]), CAST(:ends AS bigint[]), CAST(:events AS bigint[]))
        AS given (contact_id, kind, topic, sealed, digest, granted_at, expires_at, event_id)
    ORDER BY contact_id, kind, topic
    ON CONFLICT (contact_id, kind, coalesce(topic, ''), digest) DO UPDATE SET sealed = excluded.sealed,
        granted_at = excluded.granted_at, expires_at = excluded.expires_at, event_id = excluded.event_id
    WHERE permission_token.granted_at <= excluded.granted_at
""")
#: What is in force after the newest word, whichever came first.
_STAND = text("""
    UPDATE permission_token t SET stopped_at = found.stopped_at
    FROM (
        SELECT each.id, (
            SELECT max(said.occurred_at) FROM consent_record said
            WHERE said.contact_id = each.contact_id AND said.action = 'token_stop'
            AND (said.topic IS NULL OR each.topic IS NULL OR said.topic = each.topic)
            AND (said.occurred_at >= each.granted_at OR EXISTS (
                SELECT 1 FROM consent_record g WHERE g.contact_id = each.contact_id AND g.action = 'token_grant'
                AND g.topic IS NOT DISTINCT FROM each.topic AND g.occurred_at = each.granted_at
                AND g.id < said.id AND (g.by_arrival OR said.by_arrival)))
            AND NOT EXISTS (
                SELECT 1 FROM consent_record again
                WHERE again.contact_id = said.contact_id AND again.action = 'token_resume'
                AND (again.topic IS NULL OR again.topic = said.topic) AND again.occurred_at > said.occurred_at
                AND NOT (again.id < said.id AND (again.by_arrival OR said.by_arrival)))
        ) AS stopped_at
        FROM permission_token each WHERE each.contact_id = ANY(:ids)
    ) found
    WHERE t.id = found.id AND t.stopped_at IS DISTINCT FROM found.stopped_at
""")
_IN_FORCE = text("""
    SELECT t.id, t.contact_id, t.kind, t.topic, t.sealed, t.expires_at, t.last_used_at,
        p.ad_account_id, p.message_campaign_id
    FROM permission_token t JOIN contact c ON c.id = t.contact_id JOIN page p ON p.id = c.page_id
    WHERE t.contact_id = ANY(:ids) AND t.stopped_at IS NULL
    ORDER BY t.contact_id, t.expires_at NULLS LAST, t.granted_at, t.id
""")
_ALL = text("""
    SELECT kind, topic, granted_at, expires_at, last_used_at, stopped_at, event_id,
        CASE WHEN stopped_at IS NOT NULL THEN 'stopped'
            WHEN kind = 'one_time' AND last_used_at IS NOT NULL THEN 'used'
            WHEN expires_at <= :now THEN 'expired' ELSE 'in_force' END AS state
    FROM permission_token WHERE contact_id = :id ORDER BY granted_at DESC, id DESC
""")
_USE = text("""
    UPDATE permission_token t SET last_used_at = greatest(t.last_used_at, :now)
    FROM unnest(CAST(:ids AS bigint[])) AS used (id) WHERE t.id = used.id
""")
#: From the attempts that went on it and count, by when they were over: the platform counts from when a message reached
#: it, and that was before. One that was refused because the person had their share is no use of
#: it, but the token has to rest all the same.
_COUNT_AGAIN = text("""
    UPDATE permission_token t SET last_used_at = (
        SELECT max(greatest(a.begun_at, a.settled_at)) FROM attempt a WHERE a.token_id = t.id
        AND (a.outcome NOT IN ('refused', 'not_sent') OR a.outcome = 'refused' AND a.subcode IN (2018352, 2018354)))
    WHERE t.id = ANY(:ids)
""")
_USED_BY = text("""
    SELECT a.begun_at, t.contact_id, t.topic FROM attempt a JOIN permission_token t ON t.id = a.token_id
    WHERE a.id = ANY(:ids) ORDER BY t.contact_id, a.id
""")


@dataclass(slots=True, kw_only=True)
class TokenWord:
    """What somebody said of their tokens."""

    contact_id: int
    #: ``GRANTED``, ``STOPPED`` or ``RESUMED``.
    action: str
    #: Of a grant: ``notification_messages`` for such an opt-in event, ``one_time`` for ``one_time_notif_req``.
    kind: Grant | None = None
    token: str = field(default="", repr=False)
    #: None: any topic, or the tokens on all of them.
    topic: str | None
    expires_at: int | None = None
    #: How we know: ``optin``, or ``send_error``.
    source: str = "optin"
    event_id: int | None = None
    #: When they said it, epoch seconds, by the event.
    at: int
    #: As of an entry of the ledger.
    by_arrival: bool | None = None


@dataclass(slots=True, kw_only=True)
class HeldToken:
    """A token in force, with its text: for the request that it goes into; never log or return it."""

    id: int
    contact_id: int
    kind: Kind
    topic: str | None
    expires_at: int | None
    last_used_at: int | None
    #: What its page sends paid messages through; both or neither.
    ad_account_id: str | None
    message_campaign_id: str | None
    sealed: bytes = field(repr=False)

    def clear(self) -> str:
        """The token's text. Raises Unavailable when it was sealed with a key that is not here."""
        return unseal_text(self.sealed)


@dataclass(slots=True, kw_only=True)
class TokenState:
    """How a token stands, without its text. Instants are epoch seconds."""

    kind: Kind
    topic: str | None
    #: ``in_force`` (it may rest) | ``used`` | ``expired`` | ``stopped``.
    state: Literal["in_force", "used", "expired", "stopped"]
    granted_at: int
    expires_at: int | None
    last_used_at: int | None
    stopped_at: int | None
    #: The raw platform event of the newest grant.
    event_id: int | None


def record_token_words(session: Session, words: Sequence[TokenWord], now: int) -> None:
    """Keep what people said of tokens, in any order, and put it in force. The same statements whatever their number.

    What waits for whoever granted or resumed is decided anew. Raises Invalid for another kind, or a text that can be no
    token, before anything is kept.
    """
    if not words:
        return
    for word in words:
        if word.action == GRANTED:
            _check(word)
    contacts = sorted({word.contact_id for word in words})
    lock_contacts(session, contacts)
    append(
        session,
        [
            Entry(
                contact_id=word.contact_id, action=word.action, topic=word.topic, source=word.source,
                event_id=word.event_id, occurred_at=word.at, by_arrival=word.by_arrival,
            )
            for word in words
        ],
        now,
    )  # fmt: skip
    _keep(session, [word for word in words if word.action == GRANTED], now)
    session.connection().execute(_STAND, {"ids": contacts})
    wake_contacts(session, sorted({word.contact_id for word in words if word.action != STOPPED}), now)


def grant_token(
    session: Session,
    contact_id: int,
    *,
    kind: Grant,
    token: str,
    topic: str | None,
    expires_at: int | None,
    event_id: int | None,
    at: int,
    now: int,
) -> None:
    """Keep a token that a person granted ``at`` (epoch seconds, the event's own time) for ``topic`` (None: any).

    ``kind`` is ``notification_messages`` for such an opt-in event, ``one_time`` for ``one_time_notif_req``. A grant of
    the same kind and topic renews the one there is; a one-time token stands by itself. Their waiting messages are
    decided anew. Raises Invalid for another kind or a text that can be no token.
    """
    word = TokenWord(
        contact_id=contact_id, action=GRANTED, kind=kind, token=token, topic=topic, expires_at=expires_at,
        event_id=event_id, at=at,
    )  # fmt: skip
    record_token_words(session, [word], now)


def stop_tokens(
    session: Session,
    contact_id: int,
    *,
    topic: str | None,
    at: int,
    now: int,
    event_id: int | None,
    source: str = "optin",
) -> None:
    """The person wants no more messages by token on ``topic`` (None: on any). In force once this commits.

    Also for a token that we only learn of later, if it was granted before. ``source``: ``optin``, or ``send_error``.
    """
    word = TokenWord(contact_id=contact_id, action=STOPPED, topic=topic, source=source, event_id=event_id, at=at)
    record_token_words(session, [word], now)


def resume_tokens(
    session: Session, contact_id: int, *, topic: str | None, at: int, now: int, event_id: int | None
) -> None:
    """The person lets messages by token on ``topic`` (None: on any) go on; what waits for them is decided anew."""
    word = TokenWord(contact_id=contact_id, action=RESUMED, topic=topic, event_id=event_id, at=at)
    record_token_words(session, [word], now)


def stop_refused_tokens(session: Session, attempt_ids: Collection[int], now: int) -> None:
    """The platform answered these attempts that the person stopped the notifications of their tokens' topics.

    As of the request: what they granted since then is in force. The caller holds the contacts' rows.
    """
    rows = session.connection().execute(_USED_BY, {"ids": list(attempt_ids)}).all()
    words = [
        TokenWord(
            contact_id=row.contact_id,
            action=STOPPED,
            topic=row.topic,
            source="send_error",
            at=row.begun_at,
            by_arrival=False,
        )
        for row in rows
    ]
    record_token_words(session, words, now)


def tokens_in_force(session: Session, contact_ids: Collection[int]) -> dict[int, list[HeldToken]]:
    """The tokens of these contacts that nobody stopped, those that end soonest first; expired and spent ones too."""
    found: dict[int, list[HeldToken]] = {}
    if contact_ids:
        for row in session.connection().execute(_IN_FORCE, {"ids": list(contact_ids)}).mappings():
            found.setdefault(row["contact_id"], []).append(HeldToken(**row))
    return found


def list_tokens(session: Session, contact_id: int, now: int) -> list[TokenState]:
    """All that a contact granted, the newest first, and how each stands at ``now`` (epoch seconds)."""
    rows = session.connection().execute(_ALL, {"id": contact_id, "now": now}).mappings()
    return [TokenState(**row) for row in rows]


def use_tokens(session: Session, attempts: Mapping[int, int], now: int) -> None:
    """These attempts (attempt id → token id) begin now on these tokens. The caller holds the contacts' rows."""
    if attempts:
        session.connection().execute(_USE, {"ids": sorted(set(attempts.values())), "now": now})


def use_token(session: Session, token_id: int, *, attempt_id: int, now: int) -> None:
    """One attempt begins now on a token; see ``use_tokens``."""
    use_tokens(session, {attempt_id: token_id}, now)


def recount_tokens(session: Session, token_ids: Collection[int]) -> None:
    """When these tokens were last used, from the attempts on them: refused and unsent ones give them back.

    The caller holds the contacts' rows and has written what became of the attempts.
    """
    if token_ids:
        session.connection().execute(_COUNT_AGAIN, {"ids": sorted(set(token_ids))})


def _check(word: TokenWord) -> None:
    if word.kind not in GRANTS:
        named = str(word.kind)[:32]
        raise Invalid(f"`{named}` is not a kind of token", field="kind", way_out=f"use one of {', '.join(GRANTS)}")
    if not 1 <= len(word.token) <= _LONGEST or "\x00" in word.token:
        raise Invalid("that is not a token", field="token", way_out="copy it whole from the opt-in event")


def _keep(session: Session, grants: Sequence[TokenWord], now: int) -> None:
    newest: dict[tuple[int, Kind, str | None, bytes], TokenWord] = {}
    for word in grants:
        digest = hashlib.sha256(word.token.encode()).digest() if word.kind == "one_time" else b""
        assert word.kind is not None  # it was checked
        for kind in GRANTS[word.kind]:
            before = newest.get((word.contact_id, kind, word.topic, digest))
            if before is None or before.at <= word.at:
                newest[word.contact_id, kind, word.topic, digest] = word
    if newest:
        sealed = {word.token: seal(word.token) for word in newest.values()}
        session.connection().execute(
            _GRANT,
            {
                "contacts": [key[0] for key in newest], "kinds": [key[1] for key in newest],
                "topics": [key[2] for key in newest], "digests": [key[3] for key in newest],
                "seals": [sealed[word.token] for word in newest.values()],
                # What a clock ahead of ours says must not outrank what is said later by ours.
                "moments": [min(word.at, now) for word in newest.values()],
                "ends": [word.expires_at for word in newest.values()],
                "events": [word.event_id for word in newest.values()],
            },
        )  # fmt: skip
