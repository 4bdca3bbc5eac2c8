"""Each figure of each pack against the research notes, in both directions; what differs on purpose is listed with its
reason, and nothing else may."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.law import JurisdictionPack, jurisdictions_with_packs, read_pack
from policies.law_terms import ConsentLaw, Span
from policies.terms import WEEKDAYS, Cap, Hours, Row, Source, clock_time

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "reference" / "jurisdictions.json").read_text(encoding="utf-8")
)["jurisdictions"]

#: What was learnt since, with who says so: figures that take the place of the notes', or come after them.
UPDATES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "reference" / "jurisdictions-updates.json").read_text(encoding="utf-8")
)["updates"]

#: (jurisdiction, figure) → (the pack's value, why it is not the notes').
DEVIATIONS: dict[tuple[str, str], tuple[object, str]] = {
    **{
        ("SA", f"hours.sa-cst.{day}"): ([["09:00", "21:00"]], "three sources conflict; the notes' own intersection")
        for day in WEEKDAYS
    },
    ("US-GA", "zones"): (["America/New_York"], "the notes name none; the whole state is on Eastern time"),
    ("US-CT", "consent.citation"): ("Conn. Gen. Stat. 42-288a (PA 23-98 / SB 1058)", "not cited; the act of its hours"),
    ("VN", "consent.citation"): ("Decree 91/2020/ND-CP", "not cited; the decree of its hours"),
    ("AE", "consent.citation"): ("Cabinet Resolution 56/2024", "not cited; the resolution of its hours"),
    ("MX", "consent"): (None, "a register to opt out of and a privacy notice: nothing is asked for beforehand"),
    ("AE", "hours.ae-sms-carrier.app_messages"): ("no", "a carrier's rule for SMS; that is the resolution's"),
    ("AE", "caps.0.app_messages"): ("no", "counts calls after no answer"),
    ("AE", "caps.1.app_messages"): ("no", "counts calls after no answer"),
    ("VN", "hours.vn-voice.app_messages"): ("no", "binds calls alone"),
    ("CA", "consent.checked"): ("primary/secondary/memory", "the notes say which part was checked how"),
    ("KR", "consent.checked"): ("secondary/memory", "the notes say which part was checked how"),
    # Which kinds of consent will do, where the notes' words need a reading.
    ("KR", "consent.kinds"): (["express", "implied"], "the 6 months after a transaction, same-kind goods, are implied"),
    ("DE", "consent.kinds"): (["express", "implied"], "existing customers, own similar goods"),
    ("JP", "consent.kinds"): (["express", "implied"], "business relationship"),
    ("IL", "consent.kinds"): (["express", "implied"], "existing customer, similar product"),
    ("ES", "consent.kinds"): (["express", "implied"], "an existing contractual relation is no express consent"),
    ("BR", "consent.kinds"): (["express", "implied"], "legitimate interest would do without; asked for all the same"),
    ("IT", "consent.kinds"): (["express"], "the soft opt-in is for e-mail alone"),
    # How long each lasts.
    ("KR", "consent.express_lasts"): ("24 months", "to be confirmed again every 2 years (notes' remark)"),
    ("CA", "consent.implied_lasts"): ("6 months", "the surest of 6 months and 2 years where no end is stated"),
    ("CA", "consent.implied_at_most"): ("24 months", "the longest of the two"),
    ("KR", "consent.implied_at_most"): ("6 months", "the one span there is"),
    # Holidays.
    ("IT", "hours.it-code.before_holiday"): ([["10:00", "19:00"]], "the Saturday window on the day before"),
    ("KR", "hours.kr-night.lifted_by"): ("night", "the one separate consent for the night"),
}  # fmt: skip

_REACH = {"arguable": "unclear", "contested": "unclear", "partly": "unclear", "n/a": "no"}
_PER = {"PT24H": (86_400, ""), "P30D": (30 * 86_400, ""), "P1D": (0, "day"), "P1W": (0, "week")}
_KEPT = {None: "", "P1Y": "1y", "P10Y": "10y"}


def _row(row: Row | None) -> object:
    return None if row is None else [[clock_time(start), clock_time(end)] for start, end in row]


def _span(span: Span | None) -> str | None:
    return None if span is None else f"{span.days} days" if span.days else f"{span.months} months"


def _source(source: Source | None, at: str) -> dict[str, object]:
    assert source is not None
    return {
        f"{at}.citation": source.citation,
        f"{at}.app_messages": source.app_messages,
        f"{at}.checked": source.checked,
    }


def _hours(hours: Hours) -> dict[str, object]:
    at, source = f"hours.{hours.id}", hours.source
    assert source is not None
    return {
        **_source(source, at),
        **{f"{at}.{day}": _row(row) for day, row in zip(WEEKDAYS, hours.rows, strict=True)},
        f"{at}.holiday": _row(hours.holiday),
        f"{at}.before_holiday": _row(hours.before_holiday),
        f"{at}.holidays": bool(hours.holidays),
        f"{at}.lifted_by": hours.lifted_by,
        f"{at}.basis": source.basis,
        f"{at}.channels": list(source.channels),
        f"{at}.confidence": source.confidence,
        f"{at}.sources": list(source.urls),
    }


def _cap(place: int, cap: Cap) -> dict[str, object]:
    at, source = f"caps.{place}", cap.source
    assert source is not None
    return {
        **_source(source, at),
        f"{at}.limit": cap.limit,
        f"{at}.per": (cap.period, cap.calendar),
        f"{at}.channels": list(source.channels),
    }


def _consent(law: ConsentLaw | None) -> dict[str, object]:
    if law is None:
        return {"consent": None}
    return {
        **_source(law.source, "consent"),
        "consent": True,
        "consent.kinds": list(law.kinds),
        "consent.express_lasts": _span(law.express_lasts),
        "consent.implied_lasts": _span(law.implied_lasts),
        "consent.implied_at_most": _span(law.implied_at_most),
    }


def _figures_of(pack: JurisdictionPack) -> dict[str, object]:
    figures: dict[str, object] = {
        "name": pack.name,
        "zones": list(pack.zones) or None,
        "as_of": pack.as_of,
        "confidence": pack.confidence,
        "moratoria": [(each.kind, each.effect, each.checked, each.source) for each in pack.moratoria],
        "duties": [(each.id, each.since, each.source.basis, each.source.app_messages) for each in pack.duties],
        **_consent(pack.consent),
        "opt_out": pack.opt_out is not None,
    }
    for hours in pack.hours:
        figures |= _hours(hours)
    for place, cap in enumerate(pack.caps):
        figures |= _cap(place, cap)
    if law := pack.opt_out:
        figures |= _source(law.source, "opt_out")
        figures |= {
            "opt_out.honour_within": (law.honour_within, law.unit),
            "opt_out.words": list(law.words),
            "opt_out.confirmation": law.confirmation,
            "opt_out.kept_for": law.kept_for,
        }
    return figures


def _kinds(consent: dict[str, Any]) -> list[str]:
    asked = consent["asked"].casefold()
    implied = any(word in asked for word in ("implied", "inferred", "soft opt-in", "soft spam")) and (
        "implied via terms invalid" not in asked
    )
    return ["express", "implied"] if implied else ["express"]


def _figures_in_notes(code: str) -> dict[str, object]:
    notes = REFERENCE[code]
    reach = {key: _REACH.get(value, value) for key, value in notes["reaches_app_messages"].items()}
    figures: dict[str, object] = {
        "name": notes["name"],
        # A country's zones are tzdata's.
        "zones": notes["zones"] if notes["parent"] == "US" else None,
        "as_of": date.fromisoformat(notes["as_of"]),
        "confidence": notes["confidence"],
        "moratoria": [(each["kind"], each["effect"], each["verified"], each["source"]) for each in notes["moratoria"]],
        "duties": [],
        "consent": True if notes["consent"] else None,
        "opt_out": notes["opt_out"] is not None,
    }
    for window in notes["hours"]:
        at = f"hours.{window['id']}"
        figures |= {f"{at}.{key}": window[key] for key in (*WEEKDAYS, "holiday", "basis", "channels", "citation")}
        figures |= {f"{at}.{key}": window[key] for key in ("checked", "confidence", "sources")}
        figures |= {
            f"{at}.before_holiday": None,
            f"{at}.holidays": window["holiday"] is not None,
            f"{at}.lifted_by": "",
            f"{at}.app_messages": reach["hours"],
        }
    for place, cap in enumerate(notes["caps"]):
        at = f"caps.{place}"
        figures |= {f"{at}.{key}": cap[key] for key in ("limit", "channels", "citation", "checked")}
        figures |= {f"{at}.per": _PER[cap["window"]], f"{at}.app_messages": reach["hours"]}
    if consent := notes["consent"]:
        (stated,) = {each for each in consent["expires"] if each == "P6M"} or {None}
        figures |= {
            "consent.citation": consent["citation"],
            "consent.app_messages": reach["consent"],
            "consent.checked": consent["checked"],
            "consent.kinds": _kinds(consent),
            "consent.express_lasts": None,
            "consent.implied_lasts": "6 months" if stated else None,
            "consent.implied_at_most": None,
        }
    if opt_out := notes["opt_out"]:
        figures |= {
            "opt_out.citation": opt_out["citation"],
            "opt_out.app_messages": reach["consent"],
            "opt_out.checked": opt_out["checked"],
            "opt_out.honour_within": (opt_out["honour_within"], opt_out["unit"]),
            "opt_out.words": opt_out["words"],
            "opt_out.confirmation": opt_out["confirmation"] is not None,
            "opt_out.kept_for": _KEPT[opt_out["kept_for"]],
        }
    return figures


def test_the_packs_are_those_of_the_notes() -> None:
    assert jurisdictions_with_packs() == set(REFERENCE)
    assert len(REFERENCE) == 57


@pytest.mark.parametrize("code", sorted(REFERENCE))
def test_each_figure_of_a_pack_is_the_notes(code: str) -> None:
    expected = _figures_in_notes(code)
    for (jurisdiction, figure), (value, _) in DEVIATIONS.items():
        if jurisdiction != code:
            continue
        if figure == "consent" and value is None:
            expected = {key: each for key, each in expected.items() if not key.startswith("consent.")}
        expected[figure] = value
    for update in UPDATES:
        if update["jurisdiction"] == code:
            expected[update["figure"]] = _updated(expected[update["figure"]], update)
    assert _figures_of(read_pack(code)) == expected


def _updated(before: object, update: dict[str, Any]) -> object:
    if "adds" in update:
        assert isinstance(before, list)
        return [*before, *update["adds"]]
    if update["figure"] == "as_of":
        return date.fromisoformat(update["value"])
    if update["figure"] == "duties":
        return [(id_, date.fromisoformat(since), *rest) for id_, since, *rest in update["value"]]
    return update["value"]


def test_every_update_changes_what_the_notes_say_and_names_who_says_so() -> None:
    for update in UPDATES:
        before = _figures_in_notes(update["jurisdiction"])[update["figure"]]
        assert _updated(before, update) != before, update
        assert update["source"]
    assert {update["jurisdiction"] for update in UPDATES} == {"ZA", "FR", "US-NJ", "US-NV", "US-AL"}


def test_where_sources_conflict_the_stricter_holds_and_both_are_named() -> None:
    for code, closes, names in (
        ("US-NJ", "20:00", ("Referrizer", "the statute and Postscript")),
        ("US-NV", "20:00", ("the vendor 9-20", "NRS 597.814 9-21", "NAC 599B 8-21")),
        ("US-AL", "20:00", ("20:00 by the rule", "21:00 by tcpaguide.org", "dnc.com")),
    ):
        pack = read_pack(code)
        (hours,) = pack.hours
        assert hours.source is not None
        assert [clock_time(end) for _, end in hours.rows[0] or ()] == [closes]
        assert pack.confidence == hours.source.confidence == "low"
        assert all(name in hours.source.note for name in names), code
    (cap,) = read_pack("US-NJ").caps
    assert cap.source is not None
    assert cap.source.basis == "vendor_practice"
    (change,) = read_pack("US").upcoming
    assert "may change" in change.what
    assert "infolawgroup.com" in change.source


def test_every_deviation_is_one_and_has_a_reason() -> None:
    for (code, figure), (value, why) in DEVIATIONS.items():
        notes = _figures_in_notes(code)
        same = (code, figure) in {("CA", "consent.implied_lasts")}  # stated for its reason
        assert (notes[figure] == value) == same, (code, figure)
        assert why


def test_the_kinds_of_hours_that_reach_messages_in_an_app() -> None:
    reached = {
        f"{code}.{hours.id}"
        for code in REFERENCE
        for hours in read_pack(code).hours
        if hours.source is not None and hours.source.app_messages in ("yes", "likely")
    }
    assert reached == {"AE.ae-res56", "CO.co-ley2300", "KR.kr-night", "ZA.za-cpa"}


def test_what_changes_on_a_known_date() -> None:
    dated = {(code, each.on) for code in REFERENCE for each in read_pack(code).upcoming}
    assert dated == {("US", date(2027, 1, 31))}
    opt_out = read_pack("US").opt_out
    assert opt_out is not None
    assert opt_out.scope == "category"


def test_consent_lifts_no_hours_but_the_korean_night() -> None:
    lifted = {(code, hours.lifted_by) for code in REFERENCE for hours in read_pack(code).hours if hours.lifted_by}
    assert lifted == {("KR", "night")}
