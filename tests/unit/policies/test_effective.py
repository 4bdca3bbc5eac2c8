"""A policy as it meets one person names what can decide about them, and what is known and does not."""

from __future__ import annotations

from datetime import UTC, datetime

from policies.clauses import clauses
from policies.effective import Effective, Text, effective
from policies.facts import Facts
from policies.policy import load_policy, parse_policy

DEFAULT, BARE = load_policy("default"), load_policy("platform-only")
NOW = int(datetime(2026, 5, 5, 12, tzinfo=UTC).timestamp())
BEFORE = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())


def _texts(found: Effective) -> dict[str, Text]:
    return {each.clause.id: each for each in found.texts}


def test_it_names_what_can_decide_and_nothing_else() -> None:
    found = effective(DEFAULT, Facts(region="US-FL"), NOW)
    assert list(_texts(found)) == [each.id for each in clauses(DEFAULT, ("US-FL", "US"))]
    assert [(law.code, law.pack is not None) for law in found.laws] == [("US-FL", True), ("US", True)]
    assert (found.zones, found.evidence) == (("America/New_York", "America/Chicago"), "region")


def test_every_text_has_its_categories_and_a_packs_text_its_source() -> None:
    policy = parse_policy(
        '[policy]\nname = "x"\nextends = "default"\n[consent]\nrequire = "packs"\n'
        '[[minimum_gap]]\nid = "g"\nbetween = "1h"\n[[frequency_cap]]\nid = "u"\nlimit = 1\nper = "day"\n'
        'applies_to = ["utility"]\n',
        where="x",
    )
    texts = _texts(effective(policy, Facts(country="KR"), NOW))
    assert texts["permitted_hours.house"].categories == ("promotional",)
    assert texts["frequency_cap.u"].categories == ("utility",)
    assert texts["minimum_gap.g"].categories == ("promotional", "utility", "service")
    assert texts["suppression"].categories == ("promotional", "utility", "service")
    assert texts["platform.utility_template"].categories == DEFAULT.utility_categories
    assert texts["consent"].categories == ("promotional",)
    for name in ("KR.kr-night", "KR.consent"):
        source = texts[name].source
        assert source is not None
        assert (source.jurisdiction, texts[name].categories) == ("KR", ("promotional",))
        assert texts[name].clause.citation == source.citation


def test_what_is_known_and_does_not_bind_is_told_apart() -> None:
    found = effective(BARE, Facts(country="US", region="US-FL"), NOW)
    ids = [each.clause.id for each in found.not_binding]
    assert {"US-FL.us-fl-hours", "US-FL.us-fl-cap", "US.us-tcpa-hours", "US.consent"} <= set(ids)
    assert not set(ids) & set(_texts(found))
    bound = {each.clause.id for each in effective(DEFAULT, Facts(country="US", region="US-FL"), NOW).texts}
    for each in found.not_binding:
        assert each.source is not None
        assert (each.clause.id in bound) == (each.clause.rule != "consent")


def test_a_ground_holds_where_and_when_the_platform_gives_it() -> None:
    grounds = ("platform.standard_window", "platform.marketing_token", "platform.recurring", "platform.one_time_token")
    for country, at, holds in (
        ("US", NOW, (True, True, False, True)),
        ("US", BEFORE, (True, True, True, True)),
        ("FR", NOW, (True, False, True, True)),
        (None, NOW, (True, True, False, True)),
    ):
        texts = _texts(effective(DEFAULT, Facts(country=country), at))
        assert tuple(texts[ground].holds for ground in grounds) == holds, country


def test_a_place_without_a_pack_and_no_place_at_all() -> None:
    found = effective(DEFAULT, Facts(country="AQ"), NOW)
    assert [(law.code, law.pack) for law in found.laws] == [("AQ", None)]
    nowhere = effective(DEFAULT, Facts(), NOW)
    assert all(each.categories for each in nowhere.texts)
    assert (nowhere.laws, nowhere.not_binding, nowhere.evidence) == ((), (), "none")
    assert len(nowhere.zones) > 300


def test_a_pack_that_asks_for_no_consent_has_no_such_text() -> None:
    found = effective(BARE, Facts(country="TW"), NOW)
    assert {each.clause.rule for each in found.not_binding} == {"quiet_hours"}


def test_the_category_told_does_not_matter() -> None:
    one = effective(DEFAULT, Facts(country="US", category="promotional"), NOW)
    other = effective(DEFAULT, Facts(country="US", category="utility"), NOW)
    assert one == other
