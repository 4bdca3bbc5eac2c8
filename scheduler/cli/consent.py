"""``duly consent``: whether somebody may be messaged, whether a send was consented, what may have been an opt-out."""

from __future__ import annotations

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.text import Text

from policies.facts import CATEGORIES
from scheduler import clock
from scheduler.api import consent as doors
from scheduler.api.consent_reviews import ReviewView
from scheduler.api.contacts import contact_id_of
from scheduler.api.instants import GivenInstant, format_instant
from scheduler.audit.record import record
from scheduler.cli.output import echo_json, print_findings, print_table
from scheduler.cli.wording import words
from scheduler.consent import review
from scheduler.consent.choices import Action, Choice, record_choices
from scheduler.consent.projection import rebuild as rebuild_next
from scheduler.consent.settings import Settings, change_settings, settings_of
from scheduler.doorbell import ring
from scheduler.errors import Invalid
from scheduler.pages.registry import get_page
from scheduler.store import database
from scheduler.terminal import Terminal, echo

app = typer.Typer(help="Look at what people agreed to and refused, and judge what is unclear.", no_args_is_help=True)

_PSID = typer.Argument(help="The person, by the page-scoped id.")
_PAGE = typer.Option(..., help="The platform's id of the page.")
_TOPIC = typer.Option(None, help="About messages of this topic.")
_CATEGORY = typer.Option("promotional", help=f"About messages of this category: {', '.join(CATEGORIES)}.")
_OF_TOPIC = typer.Option(None, "--topic", help="Only of this topic.")
_OF_CATEGORY = typer.Option(None, "--category", help=f"Only of this category: {', '.join(CATEGORIES)}.")
_EVIDENCE = typer.Option(None, help="Where the proof is: a call, a letter.")
_AS = typer.Option("cli", "--as", help="Who does it; it is kept.")
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command()
def show(
    psid: str = _PSID,
    page: str = _PAGE,
    topic: str | None = _TOPIC,
    category: str = _CATEGORY,
    as_json: bool = _JSON,
) -> None:
    """Show what stands for a person now, and every word that it follows from."""
    _tell(psid, page, None, topic, category, as_json)


@app.command()
def at(
    psid: str = _PSID,
    instant: str = typer.Argument(help="With its offset: 2026-03-28T14:02:00+01:00."),
    page: str = _PAGE,
    topic: str | None = _TOPIC,
    category: str = _CATEGORY,
    as_json: bool = _JSON,
) -> None:
    """Show what stood for a person at an instant, as it was known then."""
    try:
        moment = TypeAdapter(GivenInstant).validate_python(instant)
    except ValidationError:
        raise Invalid(
            f"`{instant[:64]}` is not an instant with its offset", field="instant", way_out="write 2026-03-28T14:02:00Z"
        ) from None
    _tell(psid, page, moment, topic, category, as_json)


@app.command()
def message(message_id: int = typer.Argument(help="The message's id.", min=1), as_json: bool = _JSON) -> None:
    """Show what stood when each request of a message began: was this send consented?"""
    with database.session() as session:
        found = doors.proof_of_message(session, message_id)
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    console = Terminal(highlight=False)
    if not found.attempts:
        console.print(f"nothing of message {message_id} was ever sent", soft_wrap=True)
    for attempt in found.attempts:
        console.print(Text(f"attempt {attempt.attempt_id}: {attempt.outcome}", style="bold"), soft_wrap=True)
        _state(console, attempt)
        print_findings(console, attempt.findings, indent="  ")


@app.command("opt-out")
def opt_out(
    psid: str = _PSID,
    page: str = _PAGE,
    topic: str | None = _OF_TOPIC,
    category: str | None = _OF_CATEGORY,
    evidence: str | None = _EVIDENCE,
    actor: str = _AS,
) -> None:
    """Keep that somebody told the team that they want no messages. Only the team lifts it again."""
    _choose("opt_out", psid, page, topic, category, evidence, actor)
    echo(f"{psid} gets no {category or ''} messages".replace("  ", " ") + (f" about {topic}" if topic else ""))


@app.command("opt-in")
def opt_in(
    psid: str = _PSID,
    page: str = _PAGE,
    topic: str | None = _OF_TOPIC,
    category: str | None = _OF_CATEGORY,
    evidence: str | None = _EVIDENCE,
    actor: str = _AS,
) -> None:
    """Keep that somebody told the team that they want messages again; what waited is decided anew."""
    lifted = _choose("opt_in", psid, page, topic, category, evidence, actor)
    ring("deliver")
    echo("it is kept, and an opt-out ended" if lifted else "it is kept; no opt-out that it lifts was in force")


@app.command()
def reviews(
    page: str | None = typer.Option(None, help="Only those of this page, by the platform's id."),
    decided: bool = typer.Option(False, "--decided", help="Those that were judged."),
    limit: int = typer.Option(50, min=1, max=10_000, help="At most so many."),
    as_json: bool = _JSON,
) -> None:
    """Show words that may have been an opt-out and wait to be judged, newest first."""
    with database.session() as session:
        page_id = get_page(session, page).id if page is not None else None
        found = review.list_reviews(session, page_id=page_id, decided=decided, limit=limit)
    rows = [ReviewView.model_validate(row) for row in found]
    if as_json:
        echo_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("id", "page", "person", "said", "perhaps", "found", "words", "judged"),
        [
            (
                str(row.id), row.page, row.psid, format_instant(row.said_at), words(row.meaning), row.phrase,
                row.words or "", words(row.decision or ""),
            )
            for row in rows
        ],
        whole=("id", "person", "said"),
        none="nothing waits to be judged" if not decided else "nothing was judged yet",
    )  # fmt: skip


@app.command()
def judge(
    review_id: int = typer.Argument(help="The id that `duly consent reviews` shows.", min=1),
    was: str = typer.Option(..., help=f"What they meant: {', '.join(review.DECISIONS)}."),
    actor: str = _AS,
) -> None:
    """Say what somebody meant. What waited for it is decided anew."""
    decision = next((known for known in review.DECISIONS if known == was), None)
    if decision is None:
        raise Invalid(f"`{was[:32]}` is not a judgement", field="--was", way_out=f"use {', '.join(review.DECISIONS)}")
    with database.session() as session:
        review.decide(session, review_id, decision, actor=actor, now=clock.now())
    ring("deliver")
    echo(f"{review_id}: {words(decision)}")


@app.command()
def settings(
    page: str = typer.Argument(help="The platform's id of the page."),
    confirm_with: str | None = typer.Option(
        None, "--confirm-with", help="The service template that confirms an opt-out; empty: none is sent."
    ),
    scope: str | None = typer.Option(
        None, help="What a STOP covers that names nothing: everything, or what the law of their place says (law)."
    ),
    actor: str = _AS,
    as_json: bool = _JSON,
) -> None:
    """Show or change what a page does about opt-outs."""
    with database.session() as session:
        page_id = get_page(session, page).id
        assert page_id is not None  # a stored page has its id
        found = settings_of(session, page_id)
        if confirm_with is not None or scope is not None:
            if scope not in (None, "everything", "law"):
                raise Invalid(f"`{scope[:32]}` is not a scope", field="--scope", way_out="use everything or law")
            found = Settings(
                confirmation_template=found.confirmation_template if confirm_with is None else confirm_with or None,
                opt_out_scope=found.opt_out_scope if scope is None else "law" if scope == "law" else "everything",
            )
            change_settings(session, page_id, page, found, actor=actor, now=clock.now())
    if as_json:
        told = {"confirmation_template": found.confirmation_template, "opt_out_scope": found.opt_out_scope}
        echo_json(told)
        return
    echo(f"opt-outs are confirmed with {found.confirmation_template or 'nothing'}")
    echo(f"a STOP covers {'what the law says' if found.opt_out_scope == 'law' else 'everything'}")


@app.command()
def rebuild() -> None:
    """Make what decisions read of consent anew from the ledger. Changes nothing unless somebody tampered with it."""
    looked, cursor = 0, 0
    while True:
        with database.session() as session:
            found = rebuild_next(session, clock.now(), after=cursor)
        if found is None:
            break
        looked += found[1]
        cursor = found[0]
    echo(f"made anew for {looked} people")


def _choose(
    action: Action, psid: str, page: str, topic: str | None, category: str | None, evidence: str | None, actor: str
) -> bool:
    with database.session() as session:
        contact, now = contact_id_of(session, page, psid), clock.now()
        said = Choice(
            contact_id=contact, action=action, topic=topic, category=category, source="operator", evidence=evidence,
            actor=actor, at=now,
        )  # fmt: skip
        (done,) = record_choices(session, [said], now)
        detail = {"topic": topic, "category": category}
        record(session, actor=actor, action=f"contact.{action}", subject=f"contact:{contact}", detail=detail, now=now)
    return done


def _tell(psid: str, page: str, moment: int | None, topic: str | None, category: str, as_json: bool) -> None:
    if category not in CATEGORIES:
        raise Invalid(
            f"`{category[:32]}` is not a category", field="--category", way_out=f"use one of {', '.join(CATEGORIES)}"
        )
    with database.session() as session:
        found = doors.proof_of(session, page, psid, at=moment, topic=topic, category=category, now=clock.now())
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    console = Terminal(highlight=False)
    console.print(Text(f"{psid} at {format_instant(found.at)}", style="bold"), soft_wrap=True)
    if found.merged_into is not None:
        there = f"was merged into {found.merged_into}: nothing is sent to it, and what was said since then is there"
        console.print(f"{psid} {there}", style="yellow", soft_wrap=True)
    _state(console, found)
    if found.records:
        console.print()
    for row in found.records:
        console.print(_row(row), soft_wrap=True)


def _state(console: Console, found: doors.ProofView) -> None:
    about = f"{found.category} messages" + (f" about {found.topic}" if found.topic else "")
    verdict = "nothing stands against" if found.barred is None else f"{words(found.barred.reason)}: no"
    console.print(f"{verdict} {about}", soft_wrap=True)
    # What the question left out: who asks about any message wants to know of the topics that were stopped.
    for bar in found.bars:
        if bar != found.barred:
            of = f"{bar.category or ''} messages".lstrip() + (f" about {bar.topic}" if bar.topic else "")
            console.print(f"{words(bar.reason)}: no {of}", soft_wrap=True)
    for each in found.consents:
        until = f" until {format_instant(each.expires_at)}" if each.expires_at is not None else ""
        on = f"messages about {each.topic}" if each.topic else "messages"
        console.print(f"{each.kind} consent to {on} since {format_instant(each.granted_at)}{until}", soft_wrap=True)
    if not found.consents:
        console.print("no consent is on record; writing to the page may be consent enough", soft_wrap=True)
    if found.hindsight is not None:
        console.print("something was said by then that was not known then", style="yellow", soft_wrap=True)


def _row(row: doors.RecordView) -> Text:
    line = Text(f"{format_instant(row.occurred_at)}  ", style="dim") + Text(words(row.action), style="bold")
    named = row.topic or row.category
    of = named or ("everything" if row.scope == "everything" else None)
    if named and row.scope == "everything":
        # A law widened it.
        of = f"{named}, and with it everything,"
    parts = [part for part in (row.kind, of, f"by {row.source}", row.actor and f"({row.actor})") if part]
    line += Text(f"  {' '.join(parts)}")
    if row.event_id is not None:
        line += Text(f"  event {row.event_id}", style="dim")
    if row.evidence is not None:
        line += Text(f"  {row.evidence}", style="dim")
    if not row.known:
        line += Text(f"  known from {format_instant(row.recorded_at)}", style="yellow")
    return line
