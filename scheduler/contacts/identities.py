"""Names by which the shop knows somebody: its own id for them, their telephone number, their address.

Numbers and addresses are kept as keyed hashes alone: whoever has the table has nobody's number. Each page has its own
hashes. They are made with a key of their own (``store/stable_keys.py``), which stays when the encryption key is
changed, for nobody could make them anew.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import idna
from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.psids import is_placeholder
from scheduler.errors import Invalid
from scheduler.followups.waiting import person_known
from scheduler.store.secrets import derived_keys
from scheduler.store.stable_keys import ensure_stable_key

IdentityKind = Literal["crm_id", "phone", "email"]

KINDS: tuple[IdentityKind, ...] = ("crm_id", "phone", "email")

_PURPOSE = "identity"
_LONGEST = 254

#: Any number, the same everywhere: see ``wait_for_links``.
_LINKS = 0x6C696E6B

#: What people write between the digits of a number.
_PUNCTUATION = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MAILTO = re.compile(r"mailto:", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"[^<>]*<([^<>]+)>")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")

#: By the index, one by one, whatever the planner believed of a table that was empty when it planned.
_FIND = text("""
    SELECT given.kind, given.key, found.contact_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS given (kind, key)
    CROSS JOIN LATERAL (
        SELECT contact_id FROM contact_identity
        WHERE page_id = :page_id AND kind = given.kind AND key = given.key LIMIT 1
    ) AS found
""")
#: A contact of another page is nobody here; who was merged stands for nobody any more.
_LINK = text("""
    WITH changed AS (
        INSERT INTO contact_identity (page_id, kind, key, contact_id, source, linked_at)
        SELECT :page_id, given.kind, given.key, owner.id, given.source, :now
        FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[]), CAST(:ids AS bigint[]), CAST(:sources AS text[]))
            AS given (kind, key, contact_id, source)
        CROSS JOIN LATERAL (
            SELECT coalesce(merged_into, id) AS id, page_id, erased_at FROM contact
            WHERE id = given.contact_id LIMIT 1
        ) AS owner
        WHERE owner.page_id = :page_id AND owner.erased_at IS NULL
        ORDER BY given.kind, given.key
        ON CONFLICT (page_id, kind, key) DO UPDATE SET contact_id = excluded.contact_id, source = excluded.source,
            linked_at = excluded.linked_at
        WHERE contact_identity.contact_id <> excluded.contact_id
        RETURNING kind, key, contact_id
    )
    SELECT json_agg(json_build_array(kind, key, contact_id)) FROM changed
""")
_UNLINK = text("""
    DELETE FROM contact_identity WHERE page_id = :page_id AND contact_id = :id AND kind = :kind AND key = ANY(:keys)
    RETURNING key
""")
_OF = text("""
    SELECT kind, CASE WHEN kind = 'crm_id' THEN key END AS value, source, linked_at FROM contact_identity
    WHERE contact_id = :id ORDER BY kind, linked_at, key
""")


@dataclass(slots=True, kw_only=True)
class Link:
    """One name of a contact."""

    contact_id: int
    kind: IdentityKind
    #: As it is written: it is made uniform here.
    value: str
    #: ``api`` | ``import`` | ``operator``.
    source: str = "api"


@dataclass(slots=True, kw_only=True)
class Linked:
    """What came of linking."""

    new: int = 0
    #: It was so before.
    known: int = 0
    #: (the contact who had the name before, who has it now): the same person, perhaps, and to be merged.
    moved: list[tuple[int, int]] = field(default_factory=list)
    #: Business events that had waited for their person.
    events: int = 0


def link(session: Session, page_id: int, rows: Sequence[Link], now: int) -> Linked:
    """Keep by which names the page's contacts go; a name belongs to the contact it was last given to.

    Business events that named somebody unknown and waited go on. Contacts of other pages are left out. Four
    statements whatever the number of rows. Raises Invalid naming the kind, before anything is kept.
    """
    wanted = {(row.kind, uniform(row.kind, row.value)): row for row in rows}
    if not wanted:
        return Linked()
    hashing = hashing_keys(session)
    keys = {name: keys_of(hashing, page_id, *name) for name in wanted}
    wait_for_links(session, alone=True)
    before = _find(session, page_id, [(name[0], key) for name in wanted for key in keys[name]])
    # A name that was hashed with an older key stays under that: two rows must not tell of one name.
    place: dict[tuple[str, str], Link] = {}
    variants: dict[tuple[str, str], list[str]] = {}
    for name, row in wanted.items():
        each = (name[0], next((key for key in keys[name] if (name[0], key) in before), keys[name][0]))
        place[each], variants[each] = row, keys[name]
    stored = sorted(place)
    session.flush()
    # One cell: a thousand rows cost the driver more than the server.
    changed: list[tuple[str, str, int]] | None = session.connection().scalar(
        _LINK,
        {
            "page_id": page_id,
            "kinds": [kind for kind, _ in stored],
            "keys": [key for _, key in stored],
            "ids": [place[each].contact_id for each in stored],
            "sources": [place[each].source for each in stored],
            "now": now,
        },
    )
    now_at = {(kind, key): contact_id for kind, key, contact_id in changed or ()}
    linked = Linked(
        new=sum(each not in before for each in now_at),
        known=sum(each in before and each not in now_at for each in stored),
        moved=[(before[each], to) for each, to in now_at.items() if each in before],
    )
    # An event may have been kept under another key.
    names = {(kind, key): to for (kind, stored_as), to in now_at.items() for key in variants[kind, stored_as]}
    linked.events = person_known(session, page_id, names)
    return linked


def find_by_identity(session: Session, page_id: int, kind: IdentityKind, values: Iterable[str]) -> dict[str, int]:
    """The contacts that go by these names: value, as given → contact id; unknown ones are left out.

    Raises Invalid for a value that is none of its kind.
    """
    hashing = hashing_keys(session)
    keys = {value: keys_of(hashing, page_id, kind, uniform(kind, value)) for value in set(values)}
    found = _find(session, page_id, [(kind, key) for variants in keys.values() for key in variants])
    return {
        value: found[kind, key] for value, variants in keys.items() for key in variants[::-1] if (kind, key) in found
    }


def unlink(session: Session, page_id: int, contact_id: int, kind: IdentityKind, value: str) -> bool:
    """Forget a name of a contact. False when they did not go by it."""
    session.flush()
    keys = keys_of(hashing_keys(session), page_id, kind, uniform(kind, value))
    gone = session.connection().execute(_UNLINK, {"page_id": page_id, "id": contact_id, "kind": kind, "keys": keys})
    return gone.first() is not None


def identities_of(session: Session, contact_id: int) -> list[dict[str, Any]]:
    """A contact's names: kind, value (None where only its hash is kept), source, linked_at."""
    session.flush()
    return [dict(row) for row in session.connection().execute(_OF, {"id": contact_id}).mappings()]


def uniform(kind: str, value: str, *, field: str | None = None) -> str:
    """``value`` in the one way of writing it: E.164, trimmed lower case, or trimmed. Raises Invalid."""
    place = field or kind
    if kind not in KINDS:
        raise Invalid(f"`{kind[:64]}` is not a kind of identity", field=place, way_out=f"use {', '.join(KINDS)}")
    text_ = _plain(kind, value)
    if not text_ or len(text_) > _LONGEST or not text_.isprintable():
        raise Invalid("is not a usable text", field=place, way_out=f"give 1 to {_LONGEST} printable characters")
    if is_placeholder(text_):
        raise Invalid(f"`{text_[:16]}` stands for no value", field=place, way_out="leave it out where there is none")
    if kind == "phone":
        # "(0)" is dialled at home and not from abroad: dropping the brackets would make another number.
        number = _PUNCTUATION.sub("", text_)
        if "(0)" in text_ or _E164.fullmatch(number) is None:
            raise Invalid(
                "is not an international telephone number",
                field=place,
                way_out="give + and the country code, without a (0), like +49 30 901820",
            )
        return number
    if kind == "email":
        address = _address(text_)
        if _ADDRESS.fullmatch(address) is None:
            raise Invalid("is not an e-mail address", field=place, way_out="give one like mara@example.com")
        return address
    return text_


def _plain(kind: str, value: str) -> str:
    """``value`` without what programs put around it: links (``mailto:``, ``tel:``), a name before ``<…>``."""
    given = unicodedata.normalize("NFC", value).strip()
    if kind == "email":
        bracketed = _IN_BRACKETS.fullmatch(given)
        given = bracketed[1].strip() if bracketed else given
        given = _MAILTO.sub("", given).partition("?")[0] if _MAILTO.match(given) else given
    if kind == "phone":
        # Full-width digits are digits.
        given = unicodedata.normalize("NFKC", given)
        given = given[4:] if given[:4].lower() == "tel:" else given
    return given.strip()


def _address(text_: str) -> str:
    """An address in lower case, its domain as the mail system writes it. A domain that cannot be stays as it is."""
    local, _, domain = text_.lower().rpartition("@")
    with suppress(UnicodeError):
        domain = idna.encode(domain, uts46=True).decode()
    return f"{local}@{domain.removesuffix('.')}"


def hashing_keys(session: Session) -> list[bytes]:
    """The keys that names may have been hashed with, the one to hash with first.

    The children of the encryption keys too: names may have been hashed with one before there was a key of their own.
    """
    return list(dict.fromkeys((ensure_stable_key(session, _PURPOSE), *derived_keys(_PURPOSE))))


def keys_of(hashing: Sequence[bytes], page_id: int, kind: str, name: str) -> list[str]:
    """What a uniform name may be stored as: itself, or its hash with each key there is, the one to store first."""
    if kind == "crm_id":
        return [name]
    message = f"{page_id}\0{kind}\0{name}".encode()
    return [hmac.digest(key, message, "sha256").hex() for key in hashing]


def wait_for_links(session: Session, *, alone: bool) -> None:
    """Until this transaction ends, nobody links (``alone``: nobody looks somebody up for a waiting event, either).

    Otherwise an event that finds nobody and a link that finds no event could each miss the other.
    """
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    session.connection().execute(text(f"SELECT {lock}(:key)"), {"key": _LINKS})


def _find(session: Session, page_id: int, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    if not names:
        return {}
    session.flush()
    values = {"page_id": page_id, "kinds": [kind for kind, _ in names], "keys": [key for _, key in names]}
    rows = session.connection().execute(_FIND, values)
    return {(row.kind, row.key): row.contact_id for row in rows}
