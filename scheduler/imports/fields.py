"""What a column of a file may say about somebody: the fields, their other names, and what each allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: How an attribute is read: ``attributes.points:number``. ``json`` takes any of them as JSON writes it.
TYPES = ("text", "number", "bool", "json")
ATTRIBUTE = re.compile(r"attributes\.([A-Za-z_][A-Za-z0-9_]{0,63})(?::([a-z]+))?")

#: By which a row finds its person.
IDENTITIES = ("crm_id", "phone", "email")
CONSENT = "consent."


@dataclass(slots=True, kw_only=True)
class Field:
    """One field. ``allowed`` is what an error and the guide say."""

    name: str
    allowed: str
    #: Headers that are taken for it, folded by ``folded``.
    aliases: tuple[str, ...] = ()
    #: Its values are shown masked.
    personal: bool = False
    #: May be said once for the whole file.
    constant: bool = False

    @property
    def optional(self) -> bool:
        """Whether a row can do without: nobody is found by it, and it says nothing of what somebody agreed to."""
        return self.name != "psid" and not self.name.startswith(("consent", "opt"))


FIELDS: tuple[Field, ...] = (
    Field(
        name="psid",
        allowed="the page-scoped id that the platform gave the person: letters, digits and _.:-, up to 128",
        aliases=("page_scoped_id", "messenger_id", "messenger_psid", "facebook_psid"),
        personal=True,
    ),
    Field(name="name", allowed="text up to 500 characters", aliases=("full_name",), personal=True),
    Field(
        name="first_name",
        allowed="text up to 500 characters",
        aliases=("firstname", "given_name", "forename"),
        personal=True,
    ),
    Field(
        name="locale", allowed="a language, or language and country: pt or pt_BR", aliases=("language",), constant=True
    ),
    Field(
        name="country",
        allowed="an ISO 3166-1 code of two letters, like US or DE",
        aliases=("country_code",),
        constant=True,
    ),
    Field(
        name="region", allowed="an ISO 3166-2 code, like US-FL", aliases=("region_code", "subdivision"), constant=True
    ),
    Field(
        name="timezone",
        allowed="an IANA time zone, like America/New_York; several candidates with | between them",
        aliases=("time_zone", "tz", "timezones", "time_zones"),
        constant=True,
    ),
    Field(
        name="utc_offset",
        allowed="hours east of UTC from -12 to 14: -5, 5.5, +05:30 or UTC+05:30",
        aliases=("gmt_offset", "utc"),
        constant=True,
    ),
    Field(
        name="crm_id",
        allowed="the person's id in your own records, up to 200 characters",
        aliases=("customer_id", "crm"),
        personal=True,
    ),
    Field(
        name="phone",
        allowed="a phone number with its country: +49 151 23456789",
        aliases=("phone_number", "mobile", "telephone"),
        personal=True,
    ),
    Field(name="email", allowed="an e-mail address", aliases=("e_mail", "email_address", "mail"), personal=True),
    Field(name="consent.topic", allowed="a topic up to 200 characters; empty: everything", constant=True),
    Field(name="consent.kind", allowed="express, implied or night", constant=True),
    Field(name="consent.source", allowed="where it was given, up to 500 characters: checkout form", constant=True),
    Field(name="consent.wording", allowed="the words that were agreed to, up to 10,000 characters", constant=True),
    Field(
        name="consent.granted_at",
        allowed="an instant with its offset that has passed, like 2026-03-28T08:00:00Z",
        aliases=("consent_at", "consent_given_at"),
        constant=True,
    ),
    Field(
        name="consent.expires_at",
        allowed="an instant with its offset after granted_at, like 2028-03-28T08:00:00Z; empty: never",
        constant=True,
    ),
    Field(name="consents", allowed="a JSON list of objects with topic, kind, source, wording, granted_at, expires_at"),
    Field(name="opted_out", allowed="yes or no; no changes nothing", aliases=("opt_out", "unsubscribed")),
    Field(
        name="opted_out.topic",
        allowed="the topics that are not wanted, with | between them; empty or *: everything",
        aliases=("opt_out_topic",),
    ),
    Field(
        name="opted_out.at",
        allowed="an instant with its offset that has passed, like 2026-03-28T08:00:00Z; empty: the time of the import",
        aliases=("opted_out_at", "unsubscribed_at"),
    ),
    Field(name="opt_outs", allowed="a JSON list of objects with topic, category and at, as an export writes it"),
)
BY_NAME = {field.name: field for field in FIELDS}
_ATTRIBUTES = {
    kind: Field(name="attributes", allowed=allowed, constant=True)
    for kind, allowed in {
        "text": "text up to 500 characters",
        "number": "a number like 12 or -3.5, without leading zeros",
        "bool": "yes or no, true or false",
        "json": 'what JSON writes: "gold", 12, true or null',
    }.items()
}


def field_called(name: str) -> Field | None:
    """The field called ``name``, ``attributes.points:number`` included; None when there is none."""
    attribute = ATTRIBUTE.fullmatch(name)
    if attribute is not None:
        return _ATTRIBUTES.get(attribute[2] or "text")
    return BY_NAME.get(name)


def folded(header: str) -> str:
    """A header as it is compared: ``First Name`` is ``first_name``."""
    return re.sub(r"[^a-z0-9]+", "_", header.casefold()).strip("_")


BY_HEADER = {folded(name): field.name for field in FIELDS for name in (field.name, *field.aliases)}
