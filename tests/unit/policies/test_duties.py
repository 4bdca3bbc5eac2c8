"""What laws ask of senders beside hours, caps and consent: told with what to do, and never a hold."""

from __future__ import annotations

from datetime import date

import pytest

from policies.clauses import clauses, deciding
from policies.engine import decide
from policies.explain import explain
from policies.facts import Facts
from policies.law import parse_pack
from policies.policy import Policy, parse_policy
from policies.toml_source import PolicyError

NOON = 1_778_061_600  # 2026-05-06T10:00:00Z, noon in Johannesburg


def policy(mode: str, consent: str = "inbound") -> Policy:
    text = f'[policy]\nname = "p"\njurisdictions = "{mode}"\n[consent]\nrequire = "{consent}"\n'
    return parse_policy(text, where="p")


def duties(mode: str, facts: Facts) -> list[tuple[str, bool, str]]:
    _, findings = explain(policy(mode), facts, NOON)
    return [
        (found.clause, found.permits_now, found.words)
        for found in findings
        if found.rule == "consent" and "duty" in found.numbers
    ]


@pytest.mark.parametrize("mode", ["courtesy", "legal"])
def test_south_africa_asks_to_register_and_to_cleanse(mode: str) -> None:
    facts = Facts(country="ZA", last_inbound=NOON - 60)
    ((clause, permits, words),) = duties(mode, facts)
    assert (clause, permits) == ("ZA.za-opt-out-registry", True)
    assert words.startswith("ZA, since 2026-04-15: register as a direct marketer")
    assert "every month take everybody out of your lists" in words
    assert decide(policy(mode), facts, NOON).verdict == "send"


def test_a_duty_is_told_where_its_law_binds_alone() -> None:
    assert duties("off", Facts(country="ZA", last_inbound=NOON - 60)) == []
    assert duties("legal", Facts(country="ZA", last_inbound=NOON - 60, category="utility")) == []
    assert duties("legal", Facts(country="DE", last_inbound=NOON - 60)) == []
    for facts in (Facts(country="FR", last_inbound=NOON), Facts(region="FR-974", last_inbound=NOON)):
        assert [clause for clause, _, _ in duties("legal", facts)] == ["FR.fr-energy-renovation"]


def test_a_duty_decides_nothing() -> None:
    lacking = Facts(country="ZA", last_inbound=NOON - 60)
    assert deciding(policy("legal", "packs"), lacking, NOON) == ("ZA.consent",)
    assert not any("registry" in clause.id for clause in clauses(policy("legal")))


PACK = """
[jurisdiction]
code = "ZA"
name = "South Africa"
as_of = 2026-01-01
reviewed_on = 2026-01-01
confidence = "low"

[[duty]]
id = "d"
since = 2026-01-01
what = "do it"
citation = "a law"
basis = "statute"
channels = ["sms"]
app_messages = "no"
checked = "memory"
confidence = "low"
sources = []
"""


def test_a_duty_in_a_pack() -> None:
    (duty,) = parse_pack(PACK, "ZA", where="t").duties
    assert (duty.id, duty.since, duty.what, duty.source.citation) == ("d", date(2026, 1, 1), "do it", "a law")
    for old, new, key in (
        ('id = "d"', "", "duty"),
        ("since = 2026-01-01", "since = 2026", "duty.since"),
        ('what = "do it"', "", "duty"),
        ('basis = "statute"', 'basis = "rumour"', "duty.basis"),
    ):
        with pytest.raises(PolicyError) as refused:
            parse_pack(PACK.replace(old, new, 1), "ZA", where="t")
        assert refused.value.key == key
    with pytest.raises(PolicyError, match="is here twice"):
        parse_pack(PACK + PACK[PACK.index("[[duty]]") :], "ZA", where="t")
