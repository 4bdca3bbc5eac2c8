"""``duly policy show``: the policy as it meets one person, with the source of every text."""

from __future__ import annotations

import typer
from rich.console import Console

from policies.effective import Effective, Text, effective
from policies.terms import duration
from scheduler.api.instants import format_instant
from scheduler.api.policy_views import effective_view
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.policy.question import asked
from scheduler.cli.policy.told import EAST, Told
from scheduler.errors import Invalid, NotFound
from scheduler.governance.active import active_policies
from scheduler.governance.history import Activation, activation_in_force
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import Terminal

#: More candidate zones than these are counted, not named.
_NAMED = 5


def command(
    policy: str | None = typer.Option(
        None, help="A built-in policy or a file. Default: the page's active policy, or `default`."
    ),
    page: str | None = typer.Option(None, help="The platform's id of a page: the policy that decides for it."),
    contact: str | None = typer.Option(None, help="A stored person, PAGE/PSID, and the policy of their page."),
    timezone: list[str] = typer.Option([], help="An IANA zone; several are candidates."),
    utc_offset: float | None = typer.Option(
        None, help="The offset a profile tells, in hours.", min=EAST[0], max=EAST[1]
    ),
    country: str | None = typer.Option(None, help="ISO 3166-1 alpha-2."),
    region: str | None = typer.Option(None, help="ISO 3166-2, US-FL."),
    at: str | None = typer.Option(None, help="When: an instant like 2026-03-28T08:00Z, or how long ago. Default: now."),
    as_json: bool = typer.Option(False, "--json", help="As JSON."),
) -> None:
    """Show what binds messages to somebody: each text with its words, its citation, and how sure it is.

    Who they are is told by options or read with --contact; only where they are counts.
    """
    told = Told(
        policy=policy, at=at, contact=contact, timezone=timezone, utc_offset=utc_offset, country=country, region=region
    )
    question = asked(told)
    chosen, since = question.policy, None
    if page is not None:
        if contact is not None:
            raise Invalid("a contact has its page", field="page", way_out="give --page or --contact, not both")
        with database.session() as session:
            page_id = get_page(session, page).id
            assert page_id is not None  # a stored page has its id
            since = activation_in_force(session, page_id) if policy is None else None
            active = active_policies(session, [page_id]).of(page_id) if policy is None else chosen
        if active is None:
            raise NotFound("the page has no active policy", field="page", way_out="`duly policy activate` gives it one")
        chosen = active
    found = effective(chosen, question.facts, question.at)
    if as_json:
        echo_json({"at": format_instant(question.at), **effective_view(found).model_dump(mode="json")})
        return
    _print(Terminal(highlight=False), found, since, question.at)


def _print(console: Console, found: Effective, since: Activation | None, at: int) -> None:
    policy = found.policy
    console.print(f"policy {policy.name}, version {policy.version[:12]}", style="bold", soft_wrap=True, markup=False)
    if since is not None:
        when = format_instant(since.activated_at)
        console.print(f"in force since {when}, by {since.actor}: {since.why}", soft_wrap=True, markup=False)
    console.print(
        f"at {format_instant(at)}; laws in mode {policy.jurisdictions}, consent {policy.consent}, "
        f"window closed {duration(policy.margin)} early",
        soft_wrap=True,
    )
    many = len(found.zones) > _NAMED
    zones = f"{len(found.zones)} zones, judged in all of them" if many else ", ".join(found.zones)
    known = {"none": "nothing tells where they are"}.get(found.evidence, f"told by {found.evidence}")
    console.print(f"zones: {zones} ({known})", soft_wrap=True)
    for law in found.laws:
        if law.pack is None:
            console.print(f"{law.code}: no pack, so nothing of its law binds", style="yellow", soft_wrap=True)
            continue
        pack = law.pack
        console.print(
            f"{law.code}: {pack.name}, as of {pack.as_of}, confidence {pack.confidence}", soft_wrap=True, markup=False
        )
        for duty in pack.duties:
            console.print(f"  since {duty.since}: {duty.what}", style="yellow", soft_wrap=True, markup=False)
        for change in pack.upcoming:
            console.print(f"  from {change.on}: {change.what}", style="yellow", soft_wrap=True, markup=False)
    if not found.laws:
        console.print("no jurisdiction is known, so no law's hours bind beside the house's", style="yellow")
    console.print()
    _table([each for each in found.texts if each.holds], none="nothing binds")
    for title, texts in (
        ("does not serve here at this instant:", [each for each in found.texts if not each.holds]),
        ("known, and not binding under this policy:", list(found.not_binding)),
    ):
        if texts:
            console.print(f"\n{title}")
            _table(texts, none="")


def _table(texts: list[Text], *, none: str) -> None:
    print_table(
        ("text", "binds", "says", "basis", "source"),
        [
            (
                each.clause.id,
                ", ".join(each.categories) if len(each.categories) < 3 else "all",
                each.clause.words,
                each.clause.basis or "-",
                _source(each),
            )
            for each in texts
        ],
        none=none,
    )


def _source(text: Text) -> str:
    if text.source is None:
        return text.clause.citation or "-"
    source = text.source
    channels = f"; for {', '.join(source.channels)}" if source.channels else ""
    return f"{source.citation} ({source.checked}, confidence {source.confidence}{channels}; app: {source.app_messages})"
