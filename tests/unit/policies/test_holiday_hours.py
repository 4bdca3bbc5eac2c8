"""Rows for public holidays and the days before them, on the local date of each candidate zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from policies import timeline
from policies.decision import Finding
from policies.engine import decide, permitted
from policies.explain import explain
from policies.facts import Consent, Facts
from policies.law import read_pack
from policies.local_time import CHUNK, DAY, pieces, wall_clock
from policies.policy import Policy, load_policy, parse_policy, policy_to_document
from policies.terms import Hours
from policies.timeline import local_times, row_on

DEFAULT = load_policy("default")


def at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp())


def policy(text: str) -> Policy:
    return parse_policy('[policy]\nname = "t"\n' + text, where="t.policy.toml")


def utility(**facts: object) -> Facts:
    return Facts(category="utility", template_approved=True, **facts)  # type: ignore[arg-type]


def promotion(now: int, **facts: object) -> Facts:
    return Facts(last_inbound=now - 3600, **facts)  # type: ignore[arg-type]


def hours_finding(policy_: Policy, facts: Facts, now: int, id_: str) -> Finding:
    _, findings = explain(policy_, facts, now)
    (found,) = (each for each in findings if each.rule == "quiet_hours" and each.numbers.get("id") == id_)
    return found


CLOSED = policy('[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "20:00"]]\nholiday = []\nholidays = "contact"\n')


def test_a_holiday_is_closed_from_midnight_to_midnight() -> None:
    facts = utility(timezones=("Europe/Paris",), country="FR")
    now = at("2026-07-14T10:00:00+02:00")
    decision = decide(CLOSED, facts, now)
    assert (decision.verdict, decision.at, decision.reason) == ("defer", at("2026-07-15T08:00:00+02:00"), "closed_day")
    assert decide(CLOSED, facts, at("2026-07-13T19:59:59+02:00")).verdict == "send"
    found = hours_finding(CLOSED, facts, now, "h")
    assert "closed all day (today is National Day)" in found.words
    assert (found.reason, found.numbers["holidays"]) == ("closed_day", "FR")


def test_a_day_without_a_row_is_open_and_says_so() -> None:
    always = policy('[[permitted_hours]]\nid = "h"\nholiday = []\nholidays = "FR"\n')
    facts = utility(timezones=("Europe/Paris",), country="FR")
    found = hours_finding(always, facts, at("2026-07-13T10:00:00+02:00"), "h")
    assert "h: open all day, and there it is 2026-07-13 10:00 CEST" in found.words
    assert found.permits_now


def test_what_is_forgotten_is_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "_MEMORY", 1)
    facts = utility(timezones=("Europe/Paris",), country="FR")
    for day in range(20):
        now = at("2026-07-01T03:00:00+02:00") + day * DAY
        fresh = policy('[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "20:00"]]\n')
        assert decide(fresh, facts, now).at == now + 5 * 3600


def test_a_holiday_may_have_hours_of_its_own() -> None:
    some = policy(
        '[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "20:00"]]\nholiday = [["10:00", "12:00"]]\nholidays = "FR"\n'
    )
    facts = utility(timezones=("Europe/Berlin",), country="DE")
    assert decide(some, facts, at("2026-07-14T09:00:00+02:00")).at == at("2026-07-14T10:00:00+02:00")
    assert decide(some, facts, at("2026-07-14T13:00:00+02:00")).reason == "quiet_hours"


@pytest.mark.parametrize(("region", "verdict"), [("FR-57", "defer"), ("FR-75", "send"), (None, "send")])
def test_moselle_keeps_good_friday(region: str | None, verdict: str) -> None:
    now = at("2026-04-03T10:00:00+02:00")
    facts = promotion(now, timezones=("Europe/Paris",), country="FR", region=region)
    decision = decide(DEFAULT, facts, now)
    assert decision.verdict == verdict
    if verdict == "defer":
        assert (decision.at, decision.reason) == (at("2026-04-04T08:00:00+02:00"), "closed_day")
        assert "Good Friday" in hours_finding(DEFAULT, facts, now, "fr-sms-af2m").words


@pytest.mark.parametrize(("region", "verdict"), [("US-LA", "deny"), ("US-TX", "send")])
def test_louisiana_keeps_mardi_gras(region: str, verdict: str) -> None:
    now = at("2026-02-17T10:00:00-06:00")
    facts = promotion(now, timezones=("America/Chicago",), region=region, expires_at=now + 3600)
    decision = decide(DEFAULT, facts, now)
    assert decision.verdict == verdict


def test_several_countries_keep_all_their_holidays() -> None:
    # The fourteenth of July is a holiday in France, the third of October in Germany.
    both = utility(timezones=("Europe/Paris", "Europe/Berlin"))
    for instant in ("2026-07-14T10:00:00+02:00", "2026-10-03T10:00:00+02:00"):
        assert decide(CLOSED, both, at(instant)).reason == "closed_day"
    assert decide(CLOSED, both, at("2026-07-15T10:00:00+02:00")).verdict == "send"


def test_a_holiday_is_the_local_date_of_each_candidate() -> None:
    # In Auckland it is already the sixth of February, Waitangi Day; the Chatham Islands are 45 minutes ahead of it.
    facts = utility(country="NZ")
    open_all_day = policy('[[permitted_hours]]\nid = "h"\nholiday = []\nholidays = "contact"\n')
    closes = at("2026-02-06T00:00:00+13:45")
    assert decide(open_all_day, facts, closes - 1).verdict == "send"
    assert decide(open_all_day, facts, closes).at == at("2026-02-07T00:00:00+13:00")
    found = hours_finding(open_all_day, facts, closes, "h")
    assert "closed now in 1 of 2 possible zones" in found.words
    assert "Waitangi Day" in found.words


@pytest.mark.parametrize("facts", [utility(timezones=("Etc/GMT-2",)), utility(utc_offset=120)])
def test_where_no_calendar_is_known_no_day_is_a_holiday(facts: Facts) -> None:
    now = at("2026-12-25T12:00:00+02:00")
    assert decide(CLOSED, facts, now).verdict == "send"
    assert "no calendar of holidays is known there" in hours_finding(CLOSED, facts, now, "h").words


def test_rows_for_holidays_without_holidays_are_idle() -> None:
    idle = policy('[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "20:00"]]\nholiday = []\n')
    assert decide(idle, utility(timezones=("Europe/Paris",)), at("2026-07-14T10:00:00+02:00")).verdict == "send"


BEFORE = policy(
    '[[permitted_hours]]\nid = "h"\ndaily = [["09:00", "20:00"]]\nsat = [["10:00", "19:00"]]\nsun = []\nholiday = []\n'
    'before_holiday = [["10:00", "19:00"]]\nholidays = "contact"\n'
)


def test_the_day_before_a_holiday_keeps_what_both_rows_permit() -> None:
    facts = utility(timezones=("Europe/Rome",), country="IT")
    # Tuesday 2 June 2026 is the Republic's day; the Monday before it follows the Saturday's hours.
    assert decide(BEFORE, facts, at("2026-06-01T09:30:00+02:00")).at == at("2026-06-01T10:00:00+02:00")
    decision = decide(BEFORE, facts, at("2026-06-01T19:00:00+02:00"))
    assert (decision.at, decision.reason) == (at("2026-06-03T09:00:00+02:00"), "quiet_hours")
    found = hours_finding(BEFORE, facts, at("2026-06-01T09:30:00+02:00"), "h")
    assert "open 10:00-19:00 local time (tomorrow is Republic Day)" in found.words
    # Christmas and the day after it: the first is a holiday with a row of its own, no day before one.
    assert decide(BEFORE, facts, at("2026-12-25T12:00:00+01:00")).reason == "closed_day"


def test_a_day_before_a_holiday_that_would_be_open_all_day() -> None:
    rows: Hours = replace(BEFORE.hours[0], rows=(None,) * 7, holiday=None, holidays="IT")
    eve = at("2026-06-01T00:00:00+00:00") // DAY
    assert row_on(rows.days, eve) == ((36_000, 68_400),)
    # Without a row for holidays, a holiday before another is a day before it as well.
    assert row_on(rows.days, at("2026-12-25T00:00:00+00:00") // DAY) == ((36_000, 68_400),)
    assert row_on(rows.days, at("2026-06-03T00:00:00+00:00") // DAY) is None


def test_italys_voluntary_code_has_both_rows() -> None:
    (code,) = read_pack("IT").hours
    assert (code.holiday, code.before_holiday, code.holidays) == ((), ((36_000, 68_400),), "contact")
    # It binds calls alone, so it does not hold our messages.
    now = at("2026-06-02T12:00:00+02:00")
    assert decide(DEFAULT, promotion(now, timezones=("Europe/Rome",), country="IT"), now).verdict == "send"


def test_colombia_binds_messages_by_its_own_words() -> None:
    legal = policy('jurisdictions = "legal"\n')
    now = at("2026-06-29T10:00:00-05:00")  # Saints Peter and Paul, a Monday
    facts = promotion(now, timezones=("America/Bogota",), country="CO")
    decision = decide(legal, facts, now)
    assert (decision.at, decision.reason) == (at("2026-06-30T07:00:00-05:00"), "closed_day")
    assert hours_finding(legal, facts, now, "co-ley2300").clause == "CO.co-ley2300"


def test_south_africa_keeps_the_day_observed() -> None:
    now = at("2027-03-22T10:00:00+02:00")  # Human Rights' Day fell on the Sunday
    facts = promotion(now, timezones=("Africa/Johannesburg",), country="ZA")
    assert decide(policy('jurisdictions = "legal"\n'), facts, now).reason == "closed_day"


def test_a_date_that_apia_skipped_never_comes() -> None:
    # The islands went from the end of the 29th of December 2011 to the 31st: where a holiday falls before or after it
    # is judged by the dates that did come. Christmas, Boxing Day, New Year and the day after it are holidays.
    start, end = at("2011-12-25T10:00:00+00:00"), at("2012-01-04T10:00:00+00:00")
    hours = Hours(id="h", applies_to=(), rows=(((28_800, 72_000),),) * 7, holiday=(), holidays="WS")
    found = local_times(pieces("Pacific/Apia", start // CHUNK), hours.days, start, end)
    assert [wall_clock("Pacific/Apia", opens)[:16] for opens, _ in found] == [
        "2011-12-27 08:00", "2011-12-28 08:00", "2011-12-29 08:00", "2011-12-31 08:00", "2012-01-03 08:00",
        "2012-01-04 08:00",
    ]  # fmt: skip
    assert {closes - opens for opens, closes in found} == {12 * 3600}


def test_hours_with_holidays_are_judged_as_the_permitted_set_says() -> None:
    facts = utility(timezones=("Europe/Rome",), country="IT")
    start = at("2026-05-28T00:00:00+02:00")
    times = permitted(BEFORE, facts, start)
    for instant in range(start, start + 12 * DAY, 1800):
        inside = any(opens <= instant < closes for opens, closes in times)
        assert (decide(BEFORE, facts, instant).verdict == "send") == inside


def test_the_canonical_form_keeps_the_rows() -> None:
    for each in (CLOSED, BEFORE):
        again = parse_policy(policy_to_document(each), where="again.policy.toml")
        assert (again, again.version) == (each, each.version)


NIGHT = at("2026-03-03T23:00:00+09:00")


def korean(*consents: Consent, **facts: object) -> Facts:
    return promotion(NIGHT, timezones=("Asia/Seoul",), country="KR", consents=consents, **facts)


LEGAL = policy('jurisdictions = "legal"\n')


@pytest.mark.parametrize(
    ("consent", "topic", "verdict"),
    [
        (None, None, "defer"),
        (Consent(kind="express", granted_at=NIGHT - DAY), None, "defer"),
        (Consent(kind="night", granted_at=NIGHT - DAY), None, "send"),
        (Consent(kind="night", granted_at=NIGHT), None, "send"),
        (Consent(kind="night", granted_at=NIGHT + 1), None, "defer"),
        (Consent(kind="night", granted_at=NIGHT - DAY, expires_at=NIGHT), None, "defer"),
        (Consent(kind="night", granted_at=NIGHT - DAY, topic="news"), None, "defer"),
        (Consent(kind="night", granted_at=NIGHT - DAY, topic="news"), "news", "send"),
        # To be confirmed again every two years.
        (Consent(kind="night", granted_at=at("2024-03-03T23:00:01+09:00")), None, "send"),
        (Consent(kind="night", granted_at=at("2024-03-03T23:00:00+09:00")), None, "defer"),
    ],
)
def test_koreas_night_needs_a_consent_of_its_own(consent: Consent | None, topic: str | None, verdict: str) -> None:
    facts = korean(*([consent] if consent else []), topic=topic)
    decision = decide(LEGAL, facts, NIGHT)
    assert decision.verdict == verdict
    if verdict == "defer":
        starts = consent and consent.kind == "night" and consent.granted_at == NIGHT + 1
        assert decision.at == (NIGHT + 1 if starts else at("2026-03-04T08:00:00+09:00"))
        assert decision.because == ("quiet_hours",)


def test_the_house_keeps_its_hours_whatever_was_agreed_to() -> None:
    night = korean(Consent(kind="night", granted_at=NIGHT - DAY))
    assert decide(DEFAULT, night, NIGHT).because == ("quiet_hours",)
    found = hours_finding(DEFAULT, night, NIGHT, "kr-night")
    assert found.permits_now
    assert "lifted by the person's consent (night)" in found.words
    assert not hours_finding(DEFAULT, night, NIGHT, "house").permits_now


def test_a_lifted_night_in_several_zones() -> None:
    consent = Consent(kind="night", granted_at=NIGHT - DAY)
    zones = ("Asia/Seoul", "America/New_York")
    facts = promotion(NIGHT, timezones=zones, country="KR", consents=(consent,))
    assert decide(LEGAL, facts, NIGHT).verdict == "send"
    # Without it, Seoul and New York share a little of the day: 21:00 in the one is 07:00 in the other.
    assert decide(LEGAL, replace(facts, consents=()), NIGHT).verdict != "send"
    held = policy('jurisdictions = "legal"\n[unknown_zone]\nmode = "hold"\n')
    assert decide(held, facts, NIGHT).wakes_on == "zone_evidence"
