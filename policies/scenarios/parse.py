"""A scenario file, parsed and checked as a whole: whatever could not be meant stops it, by file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from policies.policy import BUILT_IN, Policy, load_policy
from policies.scenarios.expectations import read_expectation
from policies.scenarios.instants import Instant, Relative, read_absolute, read_instant, resolved
from policies.scenarios.matrix import Combination, combinations, name_of, read_matrix
from policies.scenarios.model import Scenario, ScenarioFile, Step
from policies.scenarios.people import (
    Known,
    facts_of,
    is_contact_key,
    read_contact,
    read_history,
    read_message,
)
from policies.scenarios.vocabulary import EVENTS, SWITCHES, TOPICAL_EVENTS
from policies.toml_source import PolicyError, Table, read_toml

SUFFIX = ".scenarios.toml"

#: A step as written: its instant may be relative.
_Draft = tuple[Table, Instant, Step]
#: The policy of a key ``policy``.
_Policies = Callable[[Table], Policy]


def load_scenarios(path: str | Path) -> ScenarioFile:
    """The scenarios of a file. Raises PolicyError naming file, line and key."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PolicyError(str(path), 0, "", "there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(str(path), 0, "", f"cannot be read: {error}") from error
    return read_scenarios(text, str(path))


def read_scenarios(text: str, where: str) -> ScenarioFile:
    """The scenarios that ``text`` states. ``where`` names it in errors; policies are looked for beside it.

    Raises PolicyError naming file, line and key.
    """
    table = read_toml(text, where=where)
    policies = _policies(where)
    policy = policies(table) if table.has("policy") else None
    defaults = _defaults(table.table("defaults"))
    scenarios: list[Scenario] = []
    names: dict[str, int] = {}
    for each in table.tables("scenario"):
        for scenario in _scenarios(each, policy, policies, defaults):
            if scenario.name in names:
                line = names[scenario.name]
                raise each.error("name", f"`{scenario.name}` is already the name of the scenario on line {line}")
            names[scenario.name] = scenario.line
            scenarios.append(scenario)
    table.done(also=("policy",))
    if not scenarios:
        raise table.error("", "has no [[scenario]], so it tests nothing")
    return ScenarioFile(where=where, scenarios=tuple(scenarios))


def _policies(where: str) -> _Policies:
    loaded: dict[str, Policy] = {}

    def policy(table: Table) -> Policy:
        name = table.text("policy")
        if name not in loaded:
            path = Path(where).parent / name
            if name not in BUILT_IN and not path.is_file():
                known = ", ".join(BUILT_IN)
                raise table.error(
                    "policy", f"`{name}` is neither a built-in policy ({known}) nor a file beside this one"
                )
            loaded[name] = load_policy(name if name in BUILT_IN else path)
        return loaded[name]

    return policy


def _defaults(table: Table | None) -> Known:
    if table is None:
        return {}
    found = _people(table)
    table.done(also=("contact", "message", "history"))
    return found


def _people(table: Table) -> Known:
    known: Known = {}
    contact, message = table.table("contact"), table.table("message")
    if contact is not None:
        known.update(read_contact(contact))
    if message is not None:
        known.update(read_message(message))
    if table.has("history"):
        known.update(read_history(table.tables("history")))
    return known


def _scenarios(table: Table, policy: Policy | None, policies: _Policies, defaults: Known) -> Iterator[Scenario]:
    name = table.text("name")
    if not name.isprintable():
        raise table.error("name", "must be one line of text that can be printed")
    if table.has("policy"):
        policy = policies(table)
    if policy is None:
        raise table.error("", "`policy` is missing: name one here or at the head of the file")
    known = {**defaults, **_people(table), **_switches(table)}
    at = read_absolute(table, "at") if table.has("at") else None
    drafts = _drafts(table)
    varied = table.table("matrix")
    table.done(also=("policy", "name", "at", "contact", "message", "history", "switches", "expect", "step", "matrix"))
    if varied is None:
        yield _scenario(table, name, policy, known, at, drafts)
        return
    _refuse_said_twice(table, varied)
    for combination in combinations(read_matrix(varied)):
        more, instant = _combined(varied, combination)
        yield _scenario(
            table, name_of(name, combination), policy, {**known, **more}, at if instant is None else instant, drafts
        )


def _refuse_said_twice(table: Table, varied: Table) -> None:
    for key in varied:
        holder = None if key == "at" else table.table("contact" if is_contact_key(key) else "message")
        if (key == "at" and table.has("at")) or (holder is not None and holder.has(key)):
            raise varied.error(key, "is said twice: the scenario states it too")


def _combined(varied: Table, combination: Combination) -> tuple[Known, int | None]:
    known: Known = {}
    at = None
    for key, value in combination.items():
        table = varied.holding({key: value})
        if key == "at":
            at = read_absolute(table, key)
        else:
            known.update(read_contact(table) if is_contact_key(key) else read_message(table))
    return known, at


def _switches(table: Table) -> Known:
    known: Known = {}
    if table.has("switches"):
        for name in table.texts("switches"):
            if name not in SWITCHES:
                raise table.error("switches", f"`{name}` is none of {', '.join(SWITCHES)}")
            known[SWITCHES[name]] = True
    return known


def _scenario(table: Table, name: str, policy: Policy, known: Known, at: int | None, drafts: list[_Draft]) -> Scenario:
    if not drafts:
        raise table.error("", "expects nothing: it has neither `expect` nor a [[scenario.step]]")
    if at is None and drafts[0][0] is table:
        raise table.error("", "`at` is missing: when is that expected?")
    anchor = at
    steps: list[Step] = []
    for own, instant, draft in drafts:
        when = resolved(instant, anchor, own, "at")
        if steps and when < steps[-1].at:
            raise own.error(
                "at", f"is earlier than the step before it, on line {steps[-1].line}; time does not go back"
            )
        anchor = when if anchor is None else anchor
        steps.append(Step(at=when, line=draft.line, event=draft.event, topic=draft.topic, expect=draft.expect))
    assert anchor is not None  # the first step's, if there is no other
    facts = facts_of(known, anchor)
    if facts.sends and facts.sends[-1].at > anchor:
        raise table.error("history", "has a send later than the scenario's own instant")
    return Scenario(name=name, where=table.where, line=table.line, policy=policy, facts=facts, steps=tuple(steps))


def _drafts(table: Table) -> list[_Draft]:
    drafts: list[_Draft] = []
    expect = table.table("expect")
    if expect is not None:
        drafts.append((table, Relative(0), Step(at=0, line=table.line, expect=read_expectation(expect))))
    drafts += [(each, read_instant(each, "at"), _step(each)) for each in table.tables("step")]
    if drafts and not any(draft.expect for _, _, draft in drafts):
        raise table.error("", "expects nothing: no step of it has an `expect`")
    return drafts


def _step(table: Table) -> Step:
    event = table.choice("event", EVENTS) if table.has("event") else None
    topic = table.text("topic") if table.has("topic") else None
    if topic is not None and event not in TOPICAL_EVENTS:
        raise table.error("topic", f"is known only with the events {' and '.join(TOPICAL_EVENTS)}")
    expect = table.table("expect")
    if event is None and expect is None:
        raise table.error("", "neither happens nor is expected anything: say an `event` or an `expect`")
    table.done(also=("at", "event", "topic", "expect"))
    return Step(
        at=0, line=table.line, event=event, topic=topic, expect=None if expect is None else read_expectation(expect)
    )
