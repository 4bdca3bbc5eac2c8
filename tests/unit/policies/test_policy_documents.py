from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policies.diff.edits import edits
from policies.policy import PolicyError, load_policy, parse_policy, policy_to_document

BASE = '[policy]\nname = "acme"\n'


@pytest.mark.parametrize("name", ["default", "platform-only"])
def test_a_built_in_reads_back_from_its_canonical_form(name: str) -> None:
    policy = load_policy(name)
    assert policy.name == name
    again = parse_policy(policy_to_document(policy), where="stored")
    assert (again, again.version) == (policy, policy.version)
    assert len(policy.version) == 64


def test_what_is_left_out_has_its_default() -> None:
    policy = parse_policy(BASE, where="t")
    assert (policy.margin, policy.jurisdictions, policy.unknown_zone.mode) == (0, "off", "all_candidates")
    assert policy.packs == ("platform/messenger",)
    assert (policy.hours, policy.caps, policy.gaps) == ((), (), ())
    assert (
        policy.version
        == parse_policy(load_policy("platform-only").document.replace("platform-only", "acme"), where="t").version
    )


def test_the_version_is_of_the_meaning_not_of_the_spelling() -> None:
    one = BASE + '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "24h"\napplies_to = ["utility", "promotional"]'
    two = (
        '# a comment\n[[frequency_cap]]\nper = "1d"\napplies_to = ["promotional", "utility"]\nid = "c"\nlimit=1\n'
        + BASE
    )
    assert parse_policy(one, where="t").version == parse_policy(two, where="t").version
    assert parse_policy(one.replace("24h", "25h"), where="t").version != parse_policy(one, where="t").version


def test_extends_merges_tables_by_key_and_lists_by_id() -> None:
    text = (
        '[policy]\nname = "acme"\nextends = "default"\n[[frequency_cap]]\nid = "daily"\nlimit = 2\nper = "day"\n'
        '[[minimum_gap]]\nid = "gap"\nbetween = "10m"\n[unknown_zone]\nmode = "hold"'
    )
    policy = parse_policy(text, where="acme.policy.toml")
    assert (policy.margin, policy.jurisdictions, policy.unknown_zone.mode) == (300, "courtesy", "hold")
    assert [hours.id for hours in policy.hours] == ["house"]
    assert {cap.id: (cap.limit, cap.calendar, cap.applies_to) for cap in policy.caps} == {
        "daily": (2, "day", ()),
        "weekly": (3, "", ("promotional",)),
    }
    assert [gap.between for gap in policy.gaps] == [600]


def test_extends_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.policy.toml").write_text(
        '[policy]\nname = "base"\nextends = "default"\n[messaging_window]\nmargin = "1h"'
    )
    (tmp_path / "acme.policy.toml").write_text('[policy]\nname = "acme"\nextends = "base.policy.toml"')
    policy = load_policy(tmp_path / "acme.policy.toml")
    assert (policy.name, policy.margin) == ("acme", 3600)
    assert parse_policy(policy_to_document(policy), where="stored") == policy


def test_an_error_in_an_extended_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "base.policy.toml").write_text('[policy]\nname = "base"\nnmae = 1')
    (tmp_path / "acme.policy.toml").write_text('[policy]\nname = "acme"\nextends = "base.policy.toml"')
    with pytest.raises(PolicyError) as raised:
        load_policy(str(tmp_path / "acme.policy.toml"))
    assert (raised.value.where, raised.value.line, raised.value.key) == (
        str(tmp_path / "base.policy.toml"),
        3,
        "policy.nmae",
    )


def test_a_base_that_is_there_and_cannot_be_read_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "base.policy.toml").write_bytes(b'[policy]\nname = "caf\xe9"')
    (tmp_path / "acme.policy.toml").write_text('[policy]\nname = "acme"\nextends = "base.policy.toml"')
    with pytest.raises(PolicyError, match=r"acme\.policy\.toml:3: .*`base\.policy\.toml` cannot be read: 'utf-8'"):
        load_policy(tmp_path / "acme.policy.toml")


def test_a_mark_of_windows_editors_and_their_line_ends_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "acme.policy.toml").write_bytes(b'\xef\xbb\xbf[policy]\r\nname = "acme"\r\n')
    assert load_policy(tmp_path / "acme.policy.toml") == parse_policy(BASE, where="t")


def test_files_that_extend_one_another_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.policy.toml").write_text('[policy]\nname = "a"\nextends = "b.policy.toml"')
    (tmp_path / "b.policy.toml").write_text('[policy]\nname = "b"\nextends = "a.policy.toml"')
    with pytest.raises(PolicyError, match="in turn"):
        load_policy(tmp_path / "a.policy.toml")


def test_files_that_extend_one_another_without_end_are_refused(tmp_path: Path) -> None:
    def chain(first: int) -> Path:
        for number in range(first, 40):
            (tmp_path / f"{number}.policy.toml").write_text(
                f'[policy]\nname = "p"\nextends = "{number + 1}.policy.toml"', encoding="utf-8"
            )
        (tmp_path / "40.policy.toml").write_text('[policy]\nname = "p"', encoding="utf-8")
        return tmp_path / f"{first}.policy.toml"

    assert load_policy(chain(20)).name == "p"
    with pytest.raises(PolicyError, match=r"39\.policy\.toml:3: .*at most 20 files may extend one another"):
        load_policy(chain(19))


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("[policy\nname = 1", 1, ""),
        ("", 1, "policy"),
        ("[policy]\n", 1, "policy"),
        ('[policy]\nname = ""', 2, "policy.name"),
        ('[policy]\nname = "x\\ny"', 2, "policy.name"),
        (BASE + "colour = 1", 3, "policy.colour"),
        (BASE + 'extends = "nowhere.policy.toml"', 3, "policy.extends"),
        (BASE + 'jurisdictions = "strict"', 3, "policy.jurisdictions"),
        (BASE + 'packs = ["platform/icq"]', 3, "policy.packs"),
        (BASE + "packs = []", 3, "policy.packs"),
        (BASE + "[colour]\nx = 1", 3, "colour"),
        (BASE + '[messaging_window]\nmargin = "5 minutes"', 4, "messaging_window.margin"),
        (BASE + '[messaging_window]\nmargin = "24h"', 4, "messaging_window.margin"),
        (BASE + "[messaging_window]\nmargin = 5", 4, "messaging_window.margin"),
        (BASE + '[[permitted_hours]]\ndaily = [["08:00", "21:00"]]', 3, "permitted_hours"),
        (BASE + '[[permitted_hours]]\nid = "Upper"', 4, "permitted_hours.id"),
        (BASE + '[[permitted_hours]]\nid = "a"\ndaily = [["21:00", "08:00"]]', 5, "permitted_hours.daily"),
        (BASE + '[[permitted_hours]]\nid = "a"\ndaily = [["08:00", "24:01"]]', 5, "permitted_hours.daily"),
        (BASE + '[[permitted_hours]]\nid = "a"\ndaily = [["8:00", "21:00"]]', 5, "permitted_hours.daily"),
        (BASE + '[[permitted_hours]]\nid = "a"\ndaily = ["08:00", "21:00"]', 5, "permitted_hours.daily"),
        (
            BASE + '[[permitted_hours]]\nid = "a"\nmon = [["08:00", "12:00"], ["11:00", "13:00"]]',
            5,
            "permitted_hours.mon",
        ),
        (BASE + '[[permitted_hours]]\nid = "a"\nmonday = []', 5, "permitted_hours.monday"),
        (BASE + '[[permitted_hours]]\nid = "a"\napplies_to = ["ads"]', 5, "permitted_hours.applies_to"),
        (BASE + '[[permitted_hours]]\nid = "a"\napplies_to = []', 5, "permitted_hours.applies_to"),
        (BASE + '[[permitted_hours]]\nid = "a"\n[[permitted_hours]]\nid = "a"', 6, "permitted_hours.id"),
        (BASE + '[permitted_hours]\nid = "a"', 3, "permitted_hours"),
        (BASE + '[[frequency_cap]]\nid = "a"\nlimit = 0\nper = "day"', 5, "frequency_cap.limit"),
        (BASE + '[[frequency_cap]]\nid = "a"\nlimit = true\nper = "day"', 5, "frequency_cap.limit"),
        (BASE + '[[frequency_cap]]\nid = "a"\nlimit = 1\nper = "month"', 6, "frequency_cap.per"),
        (BASE + '[[frequency_cap]]\nid = "a"\nlimit = 1\nper = "31d"', 6, "frequency_cap.per"),
        (BASE + '[[frequency_cap]]\nid = "a"\nlimit = 1', 3, "frequency_cap"),
        (BASE + '[[minimum_gap]]\nid = "a"\nbetween = "0s"', 5, "minimum_gap.between"),
        (BASE + '[unknown_zone]\nmode = "guess"', 4, "unknown_zone.mode"),
        (BASE + '[unknown_zone]\nmode = "fallback"', 4, "unknown_zone.mode"),
        (BASE + '[unknown_zone]\nmode = "fallback"\nzone = "Mars/Olympus"', 5, "unknown_zone.zone"),
        (BASE + '[unknown_zone]\nmode = "hold"\nzone = "UTC"', 5, "unknown_zone.zone"),
        (BASE + '[consent]\nrequire = "nothing"', 4, "consent.require"),
    ],
)
def test_an_error_names_file_line_and_key(text: str, line: int, key: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, where="acme.policy.toml")
    assert (raised.value.where, raised.value.line, raised.value.key) == ("acme.policy.toml", line, key)
    assert str(raised.value).startswith(f"acme.policy.toml:{line}: ")


def test_lines_are_found_behind_strings_comments_and_lists_over_lines() -> None:
    text = (
        '# [policy]\n[policy] # here\nname = "acme"\npacks = [\n  "platform/messenger", # [x]\n]\n\n'
        '[[frequency_cap]]\nid = "a"\nlimit = 1\nper = "day"\n\n[[frequency_cap]]\nid = "b"\nlimit = 1\nper = "never"\n'
    )
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, where="t")
    assert raised.value.line == 16


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ('[[frequency_cap]]\nid = "a"\nlimt = 1\nper = "day"', 5, "frequency_cap.limt", "`limit` is missing: is it"),
        ('[[frequency_cap]]\nid = "a"\nper = "day"\nx = 1', 3, "frequency_cap", "`limit` is missing"),
        (f'[[minimum_gap]]\nid = "a"\nbetween = "{"9" * 5000}h"', 5, "minimum_gap.between", "is not a duration"),
        ('[[minimum_gap]]\nid = "a"\nbetween = "١h"', 5, "minimum_gap.between", "is not a duration"),
        ('[[permitted_hours]]\nid = "a"\nsun = [["٠٨:٠٠", "21:00"]]', 5, "permitted_hours.sun", "is not a time of day"),
    ],
)  # fmt: skip
def test_a_key_that_is_misspelt_and_a_number_that_is_none(text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as raised:
        parse_policy(BASE + text, where="t")
    assert (raised.value.line, raised.value.key) == (line, key)


def test_what_looks_like_a_key_inside_a_text_of_many_lines_is_none() -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(BASE + 'extends = """\njurisdictions = 1\n"""\njurisdictions = "none"', where="t")
    assert (raised.value.line, raised.value.key) == (6, "policy.jurisdictions")


def test_a_missing_file_says_so() -> None:
    with pytest.raises(PolicyError, match="no such file"):
        load_policy("nowhere.policy.toml")


def test_consent_handover_and_advertisements_are_read_and_written_back() -> None:
    text = (
        BASE + '[messaging_window]\nclick_to_messenger = true\n[consent]\nrequire = "packs"\n'
        '[handover]\ntimeout = "36h"\n[[permitted_hours]]\nid = "h"\ndaily = [["08:00", "21:00"]]\n'
        'holiday = []\nbefore_holiday = [["08:00", "14:00"]]\nholidays = "contact"\n'
    )
    policy = parse_policy(text, where="t")
    assert (policy.click_to_messenger, policy.consent, policy.handover_timeout) == (True, "packs", 36 * 3600)
    assert (policy.hours[0].holiday, policy.hours[0].before_holiday) == ((), ((8 * 3600, 14 * 3600),))
    again = parse_policy(policy_to_document(policy), where="stored")
    assert (again, again.version) == (policy, policy.version)


def test_what_came_later_is_written_only_where_it_says_something() -> None:
    # Versions are stored: a document without these keys keeps the version that it always had.
    plain = parse_policy(BASE, where="t")
    assert policy_to_document(plain) == (
        '[policy]\nname = "acme"\npacks = ["platform/messenger"]\njurisdictions = "off"\n\n[messaging_window]\n'
        'margin = "0s"\n\n[unknown_zone]\nmode = "all_candidates"\n\n[consent]\nrequire = "inbound"\n'
    )
    spelt = BASE + '[messaging_window]\nclick_to_messenger = false\n[consent]\nrequire = "inbound"\n[handover]\n'
    assert parse_policy(spelt, where="t").version == plain.version


def test_a_base_keeps_what_is_not_said_again() -> None:
    extends = '[policy]\nname = "acme"\nextends = "default"\n'
    assert parse_policy(extends, where="t").handover_timeout == 7 * 86_400
    assert parse_policy(extends + '[handover]\ntimeout = "2h"', where="t").handover_timeout == 7200
    assert parse_policy(extends + '[handover]\ntimeout = "never"', where="t").handover_timeout is None


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('[consent]\nrequire = "sometimes"', 4, "consent.require"),
        ('[consent]\nrequires = "packs"', 4, "consent.requires"),
        ('[handover]\ntimeout = "soon"', 4, "handover.timeout"),
        ('[handover]\ntimeout = "31d"', 4, "handover.timeout"),
        ('[handover]\ntime = "2h"', 4, "handover.time"),
        ('[messaging_window]\nclick_to_messenger = "yes"', 4, "messaging_window.click_to_messenger"),
        ('[[permitted_hours]]\nid = "h"\nholiday = [["22:00", "08:00"]]', 5, "permitted_hours.holiday"),
        ('[[permitted_hours]]\nid = "h"\nholidays = "Atlantis"', 5, "permitted_hours.holidays"),
    ],
)
def test_new_keys_say_where_they_are_wrong(text: str, line: int, key: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(BASE + text, where="acme.policy.toml")
    assert (raised.value.where, raised.value.line, raised.value.key) == ("acme.policy.toml", line, key)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('[policy]\nname = "acme"\ncolour = 1\n', "extends, jurisdictions, name, packs"),
        (
            BASE + "[tags]\n",
            "consent, frequency_cap, handover, messaging_window, minimum_gap, permitted_hours, policy, unknown_zone",
        ),
        (BASE + '[messaging_window]\ntag = "HUMAN_AGENT"\n', "click_to_messenger, margin"),
        (BASE + "[unknown_zone]\nmood = 1\n", "mode, zone"),
    ],
)
def test_an_unknown_key_is_told_every_key_that_may_stand_there(text: str, known: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text, where="t")
    assert refused.value.message == f"is not known here; known are {known}"


def _hours(body: str) -> str:
    return f'[[permitted_hours]]\nid = "h"\n{body}\n'


SAME = {
    "periods that touch": (
        _hours('daily = [["09:00", "15:00"], ["15:00", "20:00"]]'), _hours('daily = [["09:00", "20:00"]]'),
    ),
    "three that touch, out of order": (
        _hours('mon = [["15:00", "20:00"], ["09:00", "12:00"], ["12:00", "15:00"]]'),
        _hours('mon = [["09:00", "20:00"]]'),
    ),
    "periods in another order": (
        _hours('daily = [["14:00", "20:00"], ["09:00", "12:00"]]'),
        _hours('daily = [["09:00", "12:00"], ["14:00", "20:00"]]'),
    ),
    "each weekday, or daily": (
        _hours("\n".join(f'{day} = [["09:00", "20:00"]]' for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))),
        _hours('daily = [["09:00", "20:00"]]'),
    ),
    "daily with a weekday that says the same": (
        _hours('daily = [["09:00", "20:00"]]\ntue = [["09:00", "20:00"]]'), _hours('daily = [["09:00", "20:00"]]'),
    ),
    "a whole day, or nothing said of it": (
        _hours('mon = []\ntue = [["00:00", "24:00"]]'), _hours("mon = []"),
    ),
    "a whole day in two halves": (
        _hours('mon = []\ntue = [["00:00", "12:00"], ["12:00", "24:00"]]'), _hours("mon = []"),
    ),
    "periods of a holiday that touch": (
        _hours('daily = [["09:00", "20:00"]]\nholidays = "US"\nholiday = [["10:00", "11:00"], ["11:00", "12:00"]]'),
        _hours('daily = [["09:00", "20:00"]]\nholidays = "US"\nholiday = [["10:00", "12:00"]]'),
    ),
    "holidays without a row for them": (
        _hours('daily = [["09:00", "20:00"]]\nholidays = "contact"'), _hours('daily = [["09:00", "20:00"]]'),
    ),
    "a row for holidays that are nobody's": (
        _hours('daily = [["09:00", "20:00"]]\nholiday = []\nbefore_holiday = []'),
        _hours('daily = [["09:00", "20:00"]]'),
    ),
    "all categories by name": (
        _hours('applies_to = ["service", "promotional", "utility"]\ndaily = [["09:00", "20:00"]]'),
        _hours('daily = [["09:00", "20:00"]]'),
    ),
    "categories in another order": (
        '[[minimum_gap]]\nid = "g"\nbetween = "10m"\napplies_to = ["utility", "promotional"]\n',
        '[[minimum_gap]]\nid = "g"\nbetween = "10m"\napplies_to = ["promotional", "utility"]\n',
    ),
    "durations": (
        '[messaging_window]\nmargin = "60m"\n[handover]\ntimeout = "168h"\n[[minimum_gap]]\nid = "g"\nbetween = "90m"\n'
        '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "24h"\n',
        '[messaging_window]\nmargin = "1h"\n[handover]\ntimeout = "1w"\n[[minimum_gap]]\nid = "g"\nbetween = "1h30m"\n'
        '[[frequency_cap]]\nid = "c"\nlimit = 1\nper = "1d"\n',
    ),
    "entries in another order": (
        '[[minimum_gap]]\nid = "a"\nbetween = "1h"\n[[minimum_gap]]\nid = "b"\nbetween = "2h"\n',
        '[[minimum_gap]]\nid = "b"\nbetween = "2h"\n[[minimum_gap]]\nid = "a"\nbetween = "1h"\n',
    ),
    "what holds anyway": (
        '[messaging_window]\nmargin = "0s"\nclick_to_messenger = false\n[consent]\nrequire = "inbound"\n'
        '[unknown_zone]\nmode = "all_candidates"\n[handover]\ntimeout = "never"\n',
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_has_one_version_and_no_difference(name: str) -> None:
    one, other = (parse_policy(f'[policy]\nname = "t"\n{text}', where="t") for text in SAME[name])
    assert one.version == other.version
    assert one == other
    assert edits(one, other) == ()
    again = parse_policy(one.document, where="again")
    assert (again, again.version) == (one, one.version)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_hours('daily = [["09:00", "15:00"], ["15:01", "20:00"]]'), _hours('daily = [["09:00", "20:00"]]')),
        (_hours("mon = []"), _hours("tue = []")),
        (_hours('mon = []\nholidays = "US"\nholiday = [["00:00", "24:00"]]'), _hours("mon = []")),
        (_hours('holidays = "US"\nholiday = []'), _hours('holidays = "DE"\nholiday = []')),
    ],
)
def test_what_means_something_else_has_another(one: str, other: str) -> None:
    first, second = (parse_policy(f'[policy]\nname = "t"\n{text}', where="t") for text in (one, other))
    assert first.version != second.version


def test_a_stored_policy_keeps_the_version_under_which_it_is_known() -> None:
    policy = parse_policy('[policy]\nname = "t"\n', where="t")
    stored = replace(policy, known_as="ab" * 32)
    assert stored.version == "ab" * 32
    assert (stored == policy, edits(stored, policy)) == (True, ())
