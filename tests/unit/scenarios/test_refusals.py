"""Whatever a scenario file could not mean is refused by file, line and key, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.scenarios.parse import load_scenarios, read_scenarios
from policies.toml_source import PolicyError

HEAD = 'policy = "platform-only"\n'
AT = "at = 2026-05-06T12:00:00Z\n"
SEND = 'expect = { verdict = "send" }\n'


def scenario(text: str, *, name: str = "s", at: str = AT, expect: str = SEND) -> str:
    return f'{HEAD}[[scenario]]\nname = "{name}"\n{at}{expect}{text}\n'


def contact(keys: str) -> str:
    return scenario(f"contact = {{ {keys} }}")


def consent(keys: str) -> str:
    return contact(f"consents = [{{ {keys} }}]")


def step(keys: str, *, at: str = AT, expect: str = SEND) -> str:
    return scenario(f"[[scenario.step]]\n{keys}", at=at, expect=expect)


#: A whole file but its policy.
REST = scenario("")[len(HEAD) :]
#: An instant for a step.
THEN = "at = 2026-05-06T12:00:00Z\n"

MANY = [str(number) for number in range(4000)]

# What is wrong, the line it is on, what the message must hold.
REFUSED: dict[str, tuple[str, int, str]] = {
    "not TOML": (HEAD + "[[scenario]\n", 2, "is not TOML"),
    "nested without end": ("a = " + "[" * 20_000, 0, "nested too deeply"),
    "unknown key at the head": ('polcy = "default"\n' + HEAD + REST, 1, "`polcy`: is not known here"),
    "no scenario": (HEAD, 0, "has no [[scenario]]"),
    "scenario is a table": (HEAD + "[scenario]\nname = 's'\n", 2, "[[scenario]]"),
    "no policy": (REST, 1, "`policy` is missing"),
    "policy is a number": ("policy = 3\n" + REST, 1, "`policy`: must be a text"),
    "policy that is not there": ('policy = "nope.policy.toml"\n' + REST, 1, "neither a built-in"),
    "unknown key of a scenario": (scenario("wen = 1"), 6, "`scenario.wen`: is not known here"),
    "no name": (HEAD + f"[[scenario]]\n{AT}{SEND}", 2, "`name` is missing"),
    "empty name": (scenario("", name=" "), 3, "`scenario.name`"),
    "name of two lines": (scenario("", name="a\\nb"), 3, "one line"),
    "name given twice": (scenario("") + f'[[scenario]]\nname = "s"\n{AT}{SEND}', 8, "the name of the scenario on"),
    "no at": (scenario("", at=""), 2, "`at` is missing"),
    "naive at": (scenario("", at="at = 2026-05-06T12:00:00\n"), 4, "has no offset"),
    "at is a day": (scenario("", at="at = 2026-05-06\n"), 4, "is not an instant"),
    "at is a time": (scenario("", at="at = 12:00:00\n"), 4, "is not an instant"),
    "at is a number": (scenario("", at="at = 1778068800\n"), 4, "is not an instant"),
    "at is a text": (scenario("", at='at = "2026-05-06T12:00:00Z"\n'), 4, "is not an instant"),
    "at is not a whole second": (scenario("", at="at = 2026-05-06T12:00:00.5Z\n"), 4, "whole second"),
    "at before 1970": (scenario("", at="at = 1969-05-06T12:00:00Z\n"), 4, "1970 to 2199"),
    "at after 2199": (scenario("", at="at = 2200-05-06T12:00:00Z\n"), 4, "1970 to 2199"),
    "expects nothing": (scenario("", expect=""), 2, "expects nothing"),
    "empty expectation": (scenario("", expect="expect = {}\n"), 5, "expects nothing"),
    "expect is a word": (scenario("", expect='expect = "send"\n'), 5, "must be a table"),
    # -- what may be expected
    "unknown expectation": (scenario("", expect="expect = { verdit = 'send' }\n"), 5, "`scenario.expect.verdit`: is"),
    "unknown verdict": (scenario("", expect='expect = { verdict = "sent" }\n'), 5, "`sent` is none of send, defer"),
    "unknown reason": (scenario("", expect='expect = { reason = "night" }\n'), 5, "`night` is none of"),
    "unknown ground": (scenario("", expect='expect = { ground = "window" }\n'), 5, "`window` is none of"),
    "unknown rule": (scenario("", expect='expect = { because = ["window"] }\n'), 5, "`window` is not a rule"),
    "rule named twice": (scenario("", expect='expect = { because = ["consent", "consent"] }\n'), 5, "twice"),
    "because is a word": (scenario("", expect='expect = { because = "consent" }\n'), 5, "must be a list"),
    "unknown waker": (scenario("", expect='expect = { wakes_on = "monday" }\n'), 5, "`monday` is none of"),
    "naive until": (scenario("", expect="expect = { until = 2026-05-06T12:00:00 }\n"), 5, "has no offset"),
    "relative until": (scenario("", expect='expect = { until = "2h ago" }\n'), 5, "is not an instant"),
    # -- contact
    "unknown key of a contact": (contact("zone = 'UTC'"), 6, "`scenario.contact.zone`: is not known"),
    "contact is a word": (scenario("contact = 'me'"), 6, "must be a table"),
    "unknown zone": (contact("timezone = 'Europe/Berln'"), 6, "`Europe/Berln` is not a time zone"),
    "unknown zone among candidates": (contact("timezone = ['UTC', 'X']"), 6, "`X` is not a time zone"),
    "zone is a number": (contact("timezone = 1"), 6, "must be a list of texts"),
    "zone twice": (contact("timezone = ['UTC', 'UTC']"), 6, "twice"),
    "offset is a text": (contact("utc_offset = '+1'"), 6, "must be a number of hours"),
    "offset is a flag": (contact("utc_offset = true"), 6, "must be a number of hours"),
    "offset beyond the earth": (contact("utc_offset = 15"), 6, "from -12 to 14"),
    "offset of odd seconds": (contact("utc_offset = 5.001"), 6, "whole minutes"),
    "offset that is no number": (contact("utc_offset = nan"), 6, "from -12 to 14"),
    "unknown country": (contact("country = 'XX'"), 6, "`XX` is not a country"),
    "country in small letters": (contact("country = 'us'"), 6, "`us` is not a country"),
    "unknown region": (contact("region = 'XX-FL'"), 6, "`XX-FL` is not a region"),
    "region without its country": (contact("region = 'FL'"), 6, "`FL` is not a region"),
    "impossible locale": (contact("locale = 'english'"), 6, "`english` is not a locale"),
    "naive inbound": (contact("last_inbound = 2026-05-06T11:00:00"), 6, "has no offset"),
    "inbound so long ago": (contact("last_inbound = '2 hours ago'"), 6, "is not an instant"),
    "inbound no time ago": (contact("last_inbound = ' ago'"), 6, "is not an instant"),
    "inbound in quotes": (contact("last_inbound = '2026-05-06T11:00:00Z'"), 6, "without quotation marks"),
    "opted_out is a word": (contact("opted_out = 'news'"), 6, "true, false or a list of topics"),
    "opted_out of numbers": (contact("opted_out = [1]"), 6, "must be a list of texts"),
    "blocked is a word": (contact("blocked = 'yes'"), 6, "must be true or false"),
    "erased is a number": (contact("erased = 1"), 6, "must be true or false"),
    "handover is a number": (contact("handover = 1"), 6, "is not an instant"),
    "consents is a table": (contact("consents = {}"), 6, "must be a list of tables"),
    "unknown key of a consent": (consent("of = 1"), 6, "consents.of`: is not known"),
    "consent without its grant": (consent("kind = 'express'"), 6, "`granted_at` is missing"),
    "unknown kind of consent": (consent("kind = 'soft', granted_at = '1d ago'"), 6, "`soft` is none of"),
    "consent that ends before it begins": (
        consent("kind = 'express', granted_at = '1d ago', expires_at = '2d ago'"), 6, "later than",
    ),
    "consent that ends before it begins, told in two ways": (
        consent("kind = 'express', granted_at = 2026-05-06T11:00:00Z, expires_at = '2h ago'"), 6, "later than",
    ),
    "token used in the future": (contact("tokens = [{ kind = 'marketing', last_used_at = 'in 1h' }]"), 6, "later than"),
    "token without its kind": (contact("tokens = [{ topic = 'x' }]"), 6, "`kind` is missing"),
    "unknown kind of token": (contact("tokens = [{ kind = 'paid' }]"), 6, "`paid` is none of"),
    "unknown key of a token": (contact("tokens = [{ kind = 'marketing', of = 1 }]"), 6, "of`: is not known"),
    # -- message, history, switches
    "unknown key of a message": (scenario("message = { text = 'hi' }"), 6, "`scenario.message.text`: is not known"),
    "unknown category": (scenario("message = { category = 'marketing' }"), 6, "`marketing` is none of"),
    "approval is a word": (scenario("message = { template_approved = 'yes' }"), 6, "must be true or false"),
    "history is a table": (scenario("history = { at = '1d ago' }"), 6, "must be a list of tables"),
    "send without its category": (scenario("history = [{ at = '1d ago' }]"), 6, "`category` is missing"),
    "send without its instant": (scenario("history = [{ category = 'service' }]"), 6, "`at` is missing"),
    "misspelt key of a send, in a list of many lines": (
        scenario("history = [\n  { at = '1d ago', category = 'service' }, # {\n  { at = '2d ago', categry = 'x' },\n]"),
        8, "`scenario.history.categry`: is not known here; known are at, category",
    ),
    "send of unknown ground": (scenario("history = [{ at = '1d ago', category = 'service', ground = 'x' }]"), 6, "`x`"),
    "send in the future": (scenario("history = [{ at = 'in 1d', category = 'service' }]"), 6, "later than"),
    "unknown switch": (scenario("switches = ['lights']"), 6, "`lights` is none of"),
    # -- steps
    "step without at": (step("event = 'block'"), 6, "`at` is missing"),
    "step of nothing": (step(THEN), 6, "neither happens nor is expected"),
    "unknown event": (step(THEN + "event = 'reply'"), 8, "`reply` is none of"),
    "unknown key of a step": (step(THEN + "event = 'block'\nwho = 1"), 9, "`scenario.step.who`"),
    "topic of a block": (step(THEN + "event = 'block'\ntopic = 'x'"), 9, "opt_out and opt_in"),
    "step back in time": (step("at = 2026-05-06T11:59:59Z\nevent = 'block'"), 7, "time does not go back"),
    "steps that expect nothing": (
        step(THEN + "event = 'block'", at="", expect=""), 2, "expects nothing",
    ),
    "step counts from nothing": (
        step("at = 'in 1h'\nexpect = { verdict = 'send' }", at="", expect=""), 5, "counts from the scenario's `at`",
    ),
    "expectation without at beside steps": (
        step(THEN + "event = 'block'", at=""), 2, "`at` is missing",
    ),
    # -- defaults
    "unknown default": (HEAD + "[defaults]\nat = 1\n" + REST, 3, "`defaults.at`: is not known"),
    "unknown key of the default contact": (
        HEAD + "[defaults.contact]\nzone = 1\n" + REST, 3, "`defaults.contact.zone`",
    ),
    "unknown zone of the default contact": (
        HEAD + "[defaults.contact]\n\ntimezone = 'X'\n" + REST, 4, "`defaults.contact.timezone`",
    ),
    "default expectation": (HEAD + "[defaults.expect]\n" + REST, 2, "`defaults.expect`: is not known"),
    # -- matrix
    "matrix of an unknown key": (scenario("matrix = { policy = ['default'] }"), 6, "`scenario.matrix.policy`: is"),
    "matrix without keys": (scenario("matrix = {}"), 6, "names no key"),
    "matrix of one value": (scenario("matrix = { country = 'US' }"), 6, "must be a list"),
    "matrix of no value": (scenario("matrix = { country = [] }"), 6, "must be a list"),
    "matrix with a value twice": (scenario("matrix = { country = ['US', 'US'] }"), 6, "a value twice"),
    "matrix with an impossible value": (scenario("matrix = { country = ['US', 'XX'] }"), 6, "`XX` is not a country"),
    "matrix over a stated at": (scenario("matrix = { at = [2026-05-06T12:00:00Z] }"), 6, "said twice"),
    "matrix over a stated key": (contact("country = 'US' }\nmatrix = { country = ['DE']"), 7, "said twice"),
    "matrix without end": (
        scenario(f"matrix = {{ topic = {MANY}, category = ['service', 'utility', 'promotional'] }}"),
        6, "more than 10000 combinations",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_by_file_line_and_key(text: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_scenarios(text, "shop.scenarios.toml")
    assert words in str(caught.value)
    assert (caught.value.where, caught.value.line) == ("shop.scenarios.toml", line)
    assert str(caught.value).startswith(f"shop.scenarios.toml:{line}: " if line else "shop.scenarios.toml: ")
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_policy_is_told_at_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "own.policy.toml").write_text('[policy]\nname = "own"\n[messaging_window]\nmargn = "5m"\n')
    file = tmp_path / "own.scenarios.toml"
    file.write_text('policy = "own.policy.toml"\n' + REST)
    with pytest.raises(PolicyError, match=r"own\.policy\.toml:4: `messaging_window.margn`"):
        load_scenarios(file)


@pytest.mark.parametrize("back", ["a.policy.toml", "../rules/a.policy.toml"])
def test_policies_that_extend_one_another_are_refused(tmp_path: Path, back: str) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.policy.toml").write_text('[policy]\nname = "a"\nextends = "b.policy.toml"\n')
    (folder / "b.policy.toml").write_text(f'[policy]\nname = "b"\nextends = "{back}"\n')
    file = folder / "a.scenarios.toml"
    file.write_text('policy = "a.policy.toml"\n' + REST)
    with pytest.raises(PolicyError, match="extends this file in turn"):
        load_scenarios(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such file"):
        load_scenarios(tmp_path / "none.scenarios.toml")
    (tmp_path / "latin.scenarios.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(PolicyError, match=r"latin\.scenarios\.toml: cannot be read"):
        load_scenarios(tmp_path / "latin.scenarios.toml")
