"""``duly policy explain``: ask the engine about somebody, told here or stored."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from sqlmodel import Session

from policies.decision import Decision
from policies.explain import explain as explain_decision
from policies.facts import CATEGORIES, Facts, Send, facts_to_json
from policies.policy import Policy, PolicyError, load_policy
from scheduler import clock
from scheduler.api.instants import format_instant, parse_instant
from scheduler.cli.output import echo_json, print_findings, words
from scheduler.contacts.places import check_country, check_region, check_zone
from scheduler.contacts.registry import get_contact
from scheduler.errors import Invalid, NotFound
from scheduler.facts.decisions import contact_facts, for_message, switches
from scheduler.governance.active import active_policies
from scheduler.outbox.plan import Wish
from scheduler.outbox.tables import Message
from scheduler.pages.registry import get_page
from scheduler.store import database

_AGO = re.compile(r"(\d{1,6})([smhd])( ago)?")
#: An instant as people write it, without its seconds.
_NO_SECONDS = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WHEN = "an instant like 2026-03-28T08:00Z, or how long before --at: 90m, 2h, 3d"


def command(
    policy: str | None = typer.Option(
        None, help="A built-in policy or a file. Default: the page's active policy, or `default`."
    ),
    at: str | None = typer.Option(
        None, help="When: an instant like 2026-03-28T08:00Z, or how long ago: 90m, 2h, 3d. Default: now."
    ),
    message: int | None = typer.Option(None, min=1, help="A stored message: its person and its content."),
    contact: str | None = typer.Option(None, help="A stored person, PAGE/PSID."),
    timezone: list[str] = typer.Option([], help="An IANA zone; several are candidates."),
    utc_offset: float | None = typer.Option(None, help="The offset a profile tells, in hours.", min=-14, max=14),
    country: str | None = typer.Option(None, help="ISO 3166-1 alpha-2."),
    region: str | None = typer.Option(None, help="ISO 3166-2, US-FL."),
    last_inbound: str | None = typer.Option(None, help=f"The person's last message: {_WHEN}."),
    opted_out: bool = typer.Option(False, "--opted-out", help="They asked for no messages."),
    blocked: bool = typer.Option(False, "--blocked", help="They blocked the page."),
    unreachable: bool = typer.Option(False, "--unreachable", help="The platform does not know them."),
    erased: bool = typer.Option(False, "--erased", help="Their data was erased."),
    handover: bool = typer.Option(False, "--handover", help="A person of the team has the thread."),
    category: str | None = typer.Option(None, help=f"{', '.join(CATEGORIES)}. Default: promotional."),
    topic: str | None = typer.Option(None, help="The message's topic."),
    template_approved: bool = typer.Option(False, "--template-approved", help="It is an approved utility template."),
    not_before: str | None = typer.Option(None, help="Not before this instant."),
    expires_at: str | None = typer.Option(None, help="Not from this instant on."),
    sent: list[str] = typer.Option([], help=f"An earlier send of the same category: {_WHEN}. May be repeated."),
    guard: bool = typer.Option(False, "--guard", help="Ask for the send guard, as plan and dispatch do."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Say whether a message may go to somebody, when, and what every rule says about it.

    Told by options, nothing needs to run. --contact and --message read the database; options then add to it.
    """
    # A zone that is read while a message is decided must be one: what is told here is checked like an import.
    now = clock.now()
    instant = now if at is None else _read("at", at, now)
    told: dict[str, Any] = {
        "timezones": tuple(check_zone(zone) for zone in timezone),
        "utc_offset": None if utc_offset is None else round(utc_offset * 60),
        "country": None if country is None else check_country(country),
        "region": None if region is None else check_region(region),
        "last_inbound": _instant("last_inbound", last_inbound, instant),
        "opted_out": opted_out,
        "blocked": blocked,
        "unreachable": unreachable,
        "erased": erased,
        "handover": handover,
        "category": None if category is None else _category(category),
        "topic": topic,
        "template_approved": template_approved,
        "not_before": _instant("not_before", not_before, instant),
        "expires_at": _instant("expires_at", expires_at, instant),
    }
    chosen = _load(policy) if policy is not None else None
    if message is None and contact is None:
        facts = Facts()
        chosen = chosen or _load("default")
    else:
        with database.session() as session:
            facts, active = _stored(session, message, contact, told, instant)
        chosen = chosen or active
    for name, value in told.items():
        if value not in (None, (), False):
            setattr(facts, name, value)
    earlier = sorted(_read("sent", each, instant) for each in sent)
    facts.sends += tuple(Send(at=when, category=facts.category) for when in earlier)
    decision, findings = explain_decision(chosen, facts, instant, min_remaining=clock.guard_seconds() if guard else 0)
    if as_json:
        echo_json(_as_json(chosen, instant, facts, decision, findings))
        return
    console = Console(highlight=False)
    console.print(_sentence(decision, instant), soft_wrap=True)
    print_findings(console, findings, indent="  ")
    console.print(Text(f"policy {chosen.name}, version {chosen.version[:12]}", style="dim"))


def _stored(
    session: Session, message: int | None, contact: str | None, told: dict[str, Any], at: int
) -> tuple[Facts, Policy]:
    """The facts of a stored person, with those of the message or of what was told of one, and the page's policy."""
    wish: Message | Wish
    if message is not None:
        if contact is not None:
            raise Invalid("a message has its person", field="contact", way_out="give --message or --contact, not both")
        found = session.get(Message, message)
        if found is None:
            raise NotFound(f"there is no message {message}", field="message", way_out="`duly message list` shows them")
        wish, contact_id = found, found.contact_id
    else:
        page_name, slash, psid = (contact or "").partition("/")
        if not slash:
            raise Invalid(f"`{contact}` names nobody", field="contact", way_out="write PAGE/PSID")
        page = get_page(session, page_name)
        assert page.id is not None  # a stored page has its id
        stored = get_contact(session, page.id, psid)
        assert stored.id is not None  # a stored contact has its id
        contact_id = stored.id
        wish = Wish(page_id=page.id, template_id=0, category=told["category"] or "promotional", topic=told["topic"])
    policy = active_policies(session, [wish.page_id]).of(wish.page_id)
    if policy is None:
        raise NotFound("the page has no active policy", field="policy", way_out="name one with --policy")
    known = contact_facts(session, [contact_id], at)[contact_id]
    return for_message(known, wish, switches(session)), policy


def _load(name: str) -> Policy:
    try:
        return load_policy(name)
    except PolicyError as error:
        raise Invalid(str(error), field="policy") from error


def _category(given: str) -> str:
    if given not in CATEGORIES:
        raise Invalid(f"`{given}` is not a category", field="category", way_out=f"use one of {', '.join(CATEGORIES)}")
    return given


def _instant(field: str, given: str | None, at: int) -> int | None:
    return None if given is None else _read(field, given, at)


def _read(field: str, given: str, at: int) -> int:
    """Epoch seconds of an instant that was told on the command line; ``90m`` is so long before ``at``."""
    ago = _AGO.fullmatch(given.strip())
    if ago is not None:
        return at - int(ago[1]) * _UNITS[ago[2]]
    try:
        found = parse_instant(_NO_SECONDS.sub(r"\1:00\2", given.strip()))
    except ValueError as error:
        way_out = "or say how long ago it was: 90m, 2h, 3d"
        raise Invalid(f"`{given}` {error}", field=field, way_out=way_out) from error
    assert isinstance(found, int)
    return found


def _sentence(decision: Decision, at: int) -> Text:
    why = f", because {words(decision.reason)}" if decision.reason else ""
    closes = f"; the permitted time ends {format_instant(decision.closes_at)}" if decision.closes_at else ""
    if decision.verdict == "send":
        return Text(f"send: it may go at {format_instant(at)} on the ground {decision.ground}{closes}", style="green")
    if decision.verdict == "deny":
        return Text(f"deny: it may never go{why}", style="red")
    if decision.at is None:
        return Text(f"defer: it waits for {words(decision.wakes_on or 'somebody')}{why}", style="yellow")
    return Text(f"defer: it may go from {format_instant(decision.at)}{why}{closes}", style="yellow")


def _as_json(policy: Policy, at: int, facts: Facts, decision: Decision, findings: tuple[Any, ...]) -> dict[str, object]:
    def shown(instant: int | None) -> str | None:
        return None if instant is None else format_instant(instant)

    return {
        "policy": policy.name,
        "policy_version": policy.version,
        "at": format_instant(at),
        "verdict": decision.verdict,
        "until": shown(decision.at) if decision.verdict == "defer" else None,
        "ground": decision.ground,
        "closes_at": shown(decision.closes_at),
        "deadline": shown(decision.deadline),
        "because": list(decision.because),
        "reason": decision.reason,
        "wakes_on": decision.wakes_on,
        "facts": facts_to_json(facts),
        "findings": [{**asdict(finding), "next_at": shown(finding.next_at)} for finding in findings],
    }
