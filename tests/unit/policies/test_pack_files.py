"""Packs are read strictly: what is not understood, or not possible, is refused with file, line and key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import resources

import pytest

from policies.law import binding_caps, binding_consent, binding_hours, parse_pack
from policies.law_terms import Span
from policies.pack_files import check_packs
from policies.platform_pack import parse_platform_pack, platform_pack
from policies.policy import PolicyError, parse_policy

ENTRY = """citation = "a law"
basis = "statute"
channels = ["sms"]
app_messages = "no"
checked = "primary"
confidence = "high"
sources = ["https://example.org/law"]
"""
PACK = f"""[jurisdiction]
code = "FR"
name = "France"
as_of = 2026-01-01
reviewed_on = 2026-11-21
confidence = "high"

[[permitted_hours]]
id = "fr-hours"
daily = [["08:00", "20:00"]]
holiday = []
holidays = "contact"
{ENTRY}
[[frequency_cap]]
id = "fr-cap"
limit = 3
per = "24h"
{ENTRY}
[consent]
kinds = ["express"]
express_lasts = "2y"
{ENTRY.replace('channels = ["sms"]', "")}
[opt_out]
honour_within = 10
unit = "business_days"
words = ["STOP"]
confirmation = true
confirmation_within = "5m"
scope = "category"
kept_for = "10y"
{ENTRY.replace('channels = ["sms"]', "")}
[[upcoming]]
on = 2027-01-31
what = "it changes"
source = "a law"

[[moratorium]]
kind = "state_of_emergency"
effect = "nothing may be sent"
checked = "memory"
source = "a law"
"""


def test_a_pack_that_says_everything() -> None:
    pack = parse_pack(PACK, "FR", where="FR.toml")
    assert pack.hours[0].holidays == "contact"
    assert pack.consent is not None
    assert pack.consent.express_lasts == Span(months=24)
    assert pack.opt_out is not None
    assert (pack.opt_out.honour_within, pack.opt_out.unit, pack.opt_out.kept_for) == (10, "business_days", "10y")
    assert pack.opt_out.confirmation_within == 300
    assert [each.on for each in pack.upcoming] == [date(2027, 1, 31)]
    assert [each.kind for each in pack.moratoria] == ["state_of_emergency"]


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('name = "France"', "", "jurisdiction", "`name` is missing"),
        ('code = "FR"', 'code = "DE"', "jurisdiction.code", "is not the file's own"),
        ("as_of = 2026-01-01", 'as_of = "2026-01-01"', "jurisdiction.as_of", "must be a date"),
        ("as_of = 2026-01-01", "as_of = 2026-01-01T10:00:00Z", "jurisdiction.as_of", "must be a date"),
        ("as_of = 2026-01-01", "as_of = 2026-02-30", "", "is not TOML"),
        ('confidence = "high"', 'confidence = "sure"', "jurisdiction.confidence", "none of high, medium, low"),
        ('name = "France"', 'name = "France"\nmembers = ["DE"]', "jurisdiction.members", "only a union has members"),
        ('name = "France"', 'name = "France"\nzones = ["Europe/Pari"]', "jurisdiction.zones", "not an IANA time zone"),
        ('name = "France"', 'name = "France"\nflag = 1', "jurisdiction.flag", "is not known here; known are"),
        ('daily = [["08:00", "20:00"]]', 'daily = [["08:00", "25:00"]]', "permitted_hours.daily", "not a time of day"),
        ("holiday = []", 'holiday = "closed"', "permitted_hours.holiday", "must be a list of periods"),
        ("holiday = []", 'before_holiday = [["9", "10"]]', "permitted_hours.before_holiday", "is not a time of day"),
        ("holiday = []\n", "", "permitted_hours.holidays", "go together"),
        ('holidays = "contact"\n', "", "permitted_hours.holidays", "go together"),
        ('holidays = "contact"', 'holidays = "XX"', "permitted_hours.holidays", "`XX` is not a country"),
        ('holidays = "contact"', 'holidays = "FR-99"', "permitted_hours.holidays", "`FR-99` has no calendar"),
        ("holiday = []", 'holiday = []\nlifted_by = "day"', "permitted_hours.lifted_by", "`day` is none of night"),
        ("holiday = []", 'holiday = []\napplies_to = ["utility"]', "permitted_hours.applies_to", "is not known here"),
        ('basis = "statute"', 'basis = "rumour"', "permitted_hours.basis", "`rumour` is none of statute, regulation"),
        ('channels = ["sms"]', 'channels = ["pigeon"]', "permitted_hours.channels", "`pigeon` is none of voice, fax"),
        ('checked = "primary"', 'checked = "hearsay"', "permitted_hours.checked", "`hearsay` is none of primary"),
        ('app_messages = "no"', 'app_messages = "maybe"', "permitted_hours.app_messages", "none of yes, likely"),
        ('id = "fr-cap"', 'id = "fr-hours"', "frequency_cap.id", "`fr-hours` is here twice"),
        ('kinds = ["express"]', 'kinds = ["oral"]', "consent.kinds", "one or both of express, implied"),
        ('kinds = ["express"]', "kinds = []", "consent.kinds", "one or both of express, implied"),
        ('kinds = ["express"]', 'kinds = ["implied"]', "consent.express_lasts", "speaks of express consent"),
        ('express_lasts = "2y"', 'express_lasts = "2w"', "consent.express_lasts", "write it like 2y, 6mo or 30d"),
        ('kinds = ["express"]', 'kinds = ["express"]\nimplied_lasts = "6mo"', "consent.implied_lasts", "speaks of"),
        ('kinds = ["express"]', 'kinds = ["express"]\nasks = "a"', "consent.asks", "is not known here"),
        ("honour_within = 10", "honour_within = 0", "opt_out.honour_within", "only there"),
        ("honour_within = 10", "honour_within = -1", "opt_out.honour_within", "whole number of at least 0"),
        ('unit = "business_days"', 'unit = "fortnights"', "opt_out.unit", "none of immediate, hours"),
        ("confirmation = true", 'confirmation = "yes"', "opt_out.confirmation", "must be true or false"),
        ("confirmation = true", "confirmation = false", "opt_out.confirmation_within", "the law does not allow"),
        ('scope = "category"', 'scope = "world"', "opt_out.scope", "none of everything, category, topic"),
        ('kept_for = "10y"', 'kept_for = "long"', "opt_out.kept_for", "is not a span"),
        ("on = 2027-01-31", "on = 2027", "upcoming.on", "must be a date"),
        ('what = "it changes"', "", "upcoming", "`what` is missing"),
        ('kind = "state_of_emergency"', 'kind = "strike"', "moratorium.kind", "none of state_of_emergency"),
        ("[[moratorium]]", "[[moratoria]]", "moratoria", "is not known here; known are"),
        ("[jurisdiction]", "[country]", "jurisdiction", "the table is missing"),
    ],
)  # fmt: skip
def test_a_pack_that_cannot_be_used(old: str, new: str, key: str, says: str) -> None:
    assert old in PACK
    text = PACK.replace(old, new, 1)
    with pytest.raises(PolicyError) as raised:
        parse_pack(text, "FR", where="packs/law/FR.toml")
    error = raised.value
    assert (error.where, error.key) == ("packs/law/FR.toml", key)
    assert says in error.message
    assert 1 <= error.line <= text.count("\n") + 1


def test_a_pack_is_of_a_place_that_exists() -> None:
    for code in ("XX", "XX-1", "FR-", "EUR", "fr"):
        with pytest.raises(PolicyError, match="is not a country, a region of one, or one of EU"):
            parse_pack(PACK.replace('"FR"', f'"{code}"'), code, where="x.toml")
    assert parse_pack(PACK.replace('"FR"', '"FR-57"'), "FR-57", where="x.toml").code == "FR-57"
    union = PACK.replace('code = "FR"', 'code = "EU"\nmembers = ["FR", "XX"]')
    with pytest.raises(PolicyError, match="`XX` is not an ISO 3166-1 country code"):
        parse_pack(union, "EU", where="EU.toml")


def instant(written: str) -> int:
    return int(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        (Span(months=6), "2026-08-31T10:00", "2027-02-28T10:00"),
        (Span(months=24), "2024-02-29T00:00", "2026-02-28T00:00"),
        (Span(months=12), "2023-02-28T23:59", "2024-02-28T23:59"),
        (Span(months=1), "2026-12-15T00:00", "2027-01-15T00:00"),
        (Span(days=30), "2026-12-15T00:00", "2027-01-14T00:00"),
    ],
)
def test_spans_follow_the_calendar(span: Span, start: str, end: str) -> None:
    assert span.after(instant(start)) == instant(end)


def test_when_a_consent_ends() -> None:
    canada, korea = binding_consent("CA", "legal"), binding_consent("KR", "legal")
    assert canada is not None
    assert korea is not None
    given = instant("2026-01-15T00:00")
    # Canada: express has no end; implied the surest, 6 months, or what is stated, 2 years at most.
    assert canada.end_of("express", given, None) is None
    assert canada.end_of("express", given, given + 5) == given + 5
    assert canada.end_of("implied", given, None) == instant("2026-07-15T00:00")
    assert canada.end_of("implied", given, instant("2027-06-01T00:00")) == instant("2027-06-01T00:00")
    assert canada.end_of("implied", given, instant("2031-01-01T00:00")) == instant("2028-01-15T00:00")
    # South Korea: to be confirmed again every 2 years, the night's too.
    for kind in ("express", "night"):
        assert korea.end_of(kind, given, None) == instant("2028-01-15T00:00")
        assert korea.end_of(kind, given, instant("2031-01-01T00:00")) == instant("2028-01-15T00:00")
    assert korea.end_of("implied", given, None) == instant("2026-07-15T00:00")


def test_which_consent_is_asked_for_in_which_mode() -> None:
    def asked(code: str, mode: str) -> tuple[str, ...]:
        law = binding_consent(code, mode)
        return law.kinds if law else ()

    assert asked("CA", "courtesy") == asked("CA", "legal") == ("express", "implied")
    assert asked("EU", "legal") == ("express", "implied")
    assert (asked("US", "courtesy"), asked("US", "legal")) == (("express",), ())
    assert (asked("CA", "off"), asked("US-TX", "courtesy"), asked("CH", "courtesy")) == ((), (), ())


def test_which_hours_and_caps_bind_in_which_mode() -> None:
    def ids(code: str, mode: str) -> list[str]:
        return [each.id for each in (*binding_hours(code, mode), *binding_caps(code, mode))]

    assert ids("FR", "courtesy") == ["fr-sms-af2m"]
    assert ids("CA", "courtesy") == ids("US-WA", "courtesy") == ids("GB", "courtesy") == []
    assert ids("AE", "courtesy") == ["ae-res56", "ae-sms-carrier"]
    assert ids("AE", "legal") == ["ae-res56"]
    assert ids("CO", "legal") == ids("CO", "courtesy") == ["co-ley2300", "co-cap"]
    assert ids("ZA", "legal") == ["za-cpa"]
    assert ids("US-LA", "courtesy") == ["us-la-hours"]
    assert ids("US-LA", "legal") == ids("KR", "off") == []


MESSENGER = resources.files("policies").joinpath("packs", "platform", "messenger.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("[standard_window]", "[window]", "standard_window", "the table is missing"),
        ('length = "24h"', 'length = "a day"', "standard_window.length", "is not a duration"),
        ('opened_by = ["message",', 'opened_by = ["wave",', "standard_window.opened_by", "`wave` is none of message"),
        ('length = "7d"', 'length = "2h"', "click_to_messenger.length", "shorter than the standard window"),
        ("since = 2026-09-28", 'since = "soon"', "click_to_messenger.since", "must be a date"),
        ('categories = ["utility"]', 'categories = ["spam"]', "utility_template.categories", "must be among"),
        ('unavailable_in = ["EU",', 'unavailable_in = ["EUROPE",', "marketing_token.unavailable_in", "one of EU"),
        ('    "AU", "BR",', '    "XX", "BR",', "marketing_token.senders_in", "is not an ISO 3166-1 country code"),
        ('rest = "48h"', 'rest = "48h"\nonce = true', "recurring.once", "is not known here"),
        ("since = 2026-02-10", "since = 2026-02-11", "recurring.period.since", "where the period before it ends"),
        ("until = 2026-02-10", "since = 2026-03-01\nuntil = 2026-02-10", "recurring.period.until", "after `since`"),
        ('name = "ACCOUNT_UPDATE"', 'name = "POST_PURCHASE_UPDATE"', "retired_tag.name", "is here twice"),
        ("reviewed_on = 2026-12-01", "reviewed_on = 2026", "platform.reviewed_on", "must be a date"),
        ("sources = [\n", "sources = []\nx = [\n", "standard_window.sources", "must name at least one"),
    ],
)
def test_a_platform_pack_that_cannot_be_used(old: str, new: str, key: str, says: str) -> None:
    assert old in MESSENGER
    with pytest.raises(PolicyError) as raised:
        parse_platform_pack(MESSENGER.replace(old, new, 1), where="messenger.toml")
    assert raised.value.key == key
    assert says in raised.value.message
    assert raised.value.line


def test_the_platforms_figures() -> None:
    pack = platform_pack("platform/messenger")
    eu_and = {"GB", "JP", "KR", "AU", "DE", "FR", "PL", "IE"}
    assert pack.window == 24 * 3600
    assert {"message", "postback", "reaction", "link"} <= pack.opened_by
    assert not {"comment", "visitor_post"} & pack.opened_by
    assert (pack.click_to_messenger, pack.click_to_messenger_since) == (7 * 86_400, instant("2026-09-28T00:00"))
    assert pack.marketing.rest == 24 * 3600
    assert eu_and <= pack.marketing.unavailable_in
    # 27 members and four countries; the Union's seven territories, and four of Australia.
    assert len(pack.marketing.unavailable_in) == 31 + 7 + 4
    assert {"RE", "GP", "MQ", "GF", "YT", "MF", "AX", "NF"} <= pack.marketing.unavailable_in
    assert {"US", "BR", "TW", "VN"} < set(pack.marketing.senders_in)
    assert not {"DE", "GB", "JP", "CA"} & set(pack.marketing.senders_in)
    assert len(pack.marketing.senders_in) == 20
    assert pack.recurring.senders_in == ()
    assert not {"PF", "NC", "BL", "AW", "BQ", "SJ", "PR", "JE", "HK"} & pack.marketing.unavailable_in
    assert not {"US", "CH", "NO", "EU"} & pack.marketing.unavailable_in
    before, after = pack.recurring.periods
    assert pack.recurring.rest == 48 * 3600
    assert (before.since, before.until, before.only_in) == (None, instant("2026-02-10T00:00"), None)
    assert (after.since, after.until, after.only_in) == (before.until, None, pack.marketing.unavailable_in)
    assert pack.one_time.rest is None
    for terms in (pack.marketing, pack.recurring, pack.one_time):
        assert terms.categories == ("promotional",)
    retired = {tag.name: tag.since for tag in pack.retired_tags}
    for name in ("CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE"):
        assert retired[name] == date(2026, 4, 27)
    assert retired["SHIPPING_UPDATE"] == date(2020, 3, 4)
    assert "HUMAN_AGENT" not in retired
    assert len(retired) == 18


@pytest.mark.parametrize(
    ("row", "key", "says"),
    [
        ('holidays = "XX"', "permitted_hours.holidays", "`XX` is not a country"),
        ('holidays = "US-"', "permitted_hours.holidays", "has no calendar"),
        ("holidays = 1", "permitted_hours.holidays", "must be a text"),
        ('holiday = [["10:00"]]', "permitted_hours.holiday", "is not a period"),
        ('lifted_by = "night"', "permitted_hours.lifted_by", "is not known here"),
    ],
)
def test_a_policys_own_rows_are_read_as_strictly(row: str, key: str, says: str) -> None:
    text = f'[policy]\nname = "t"\n[[permitted_hours]]\nid = "h"\n{row}\n'
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, where="t.policy.toml")
    assert (raised.value.key, raised.value.line) == (key, 5)
    assert says in raised.value.message


def test_all_packs_that_are_shipped_can_be_read() -> None:
    assert check_packs() >= 57 + 1 + 5
