"""``duly dead-letter``: what needs a person, by cause; send it again, or discard it."""

from __future__ import annotations

from typing import TypeVar

import typer
from pydantic import ValidationError

from scheduler import clock
from scheduler.api import dead_letters as doors
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, print_table
from scheduler.cli.wording import words
from scheduler.doorbell import ring
from scheduler.errors import Invalid
from scheduler.facts import dead_letters
from scheduler.outbox.dead_letters import MOST
from scheduler.store import database
from scheduler.terminal import confirm, echo

app = typer.Typer(help="Look at what needs a person, send it again, or discard it.", no_args_is_help=True)

_IDS = typer.Argument(None, help="Messages, by id; or --cause, or --all.")
_CAUSE = typer.Option(None, help="Those with this cause, by the key that `duly dead-letter list` shows.")
_ALL = typer.Option(False, "--all", help="All that match the other options.")
_PAGE = typer.Option(None, help="Only those of this page, by the platform's id.")
_CAMPAIGN = typer.Option(None, min=1, max=2**63 - 1, help="Only those of this campaign.")
_STATE = typer.Option(None, help="Only those in this state: unconfirmed, dead, refused.")
_REASON = typer.Option(None, help="Only those with this reason.")
_LIMIT = typer.Option(1000, min=1, max=MOST, help="At most so many, the oldest first.")
_WHY = typer.Option(..., help="Why; it is kept.")
_AS = typer.Option("cli", "--as", help="Who does it; it is kept.")
_YES = typer.Option(False, "--yes", help="Do it without asking.")
_JSON = typer.Option(False, "--json", help="As JSON.")


@app.command("list")
def list_causes(
    page: str | None = _PAGE,
    campaign: int | None = _CAMPAIGN,
    state: str | None = _STATE,
    reason: str | None = _REASON,
    limit: int = typer.Option(50, min=1, max=1000, help="At most so many causes."),
    as_json: bool = _JSON,
) -> None:
    """Show dead letters by cause, the most frequent first."""
    with database.session() as session:
        filters = doors.filters_of(session, page=page, campaign=campaign, state=state, reason=reason)
        found = [doors.CauseView.model_validate(row) for row in dead_letters.causes(session, filters, limit=limit)]
    if as_json:
        echo_json([row.model_dump(mode="json") for row in found])
        return
    print_table(
        ("cause", "count", "state", "why", "code", "page", "template", "first seen", "last seen", "sample"),
        [
            (
                row.cause, str(row.count), row.state, words(row.reason or ""), _code(row), row.page, row.template,
                format_instant(row.first_seen), format_instant(row.last_seen), str(row.sample),
            )
            for row in found
        ],
        whole=("cause", "count", "state", "code", "sample"),
        none="no dead letters: nothing needs a person",
    )  # fmt: skip


@app.command()
def show(
    cause: str = typer.Argument(help="The key of a cause, as `duly dead-letter list` shows it."),
    limit: int = typer.Option(50, min=1, max=10_000, help="At most so many."),
    as_json: bool = _JSON,
) -> None:
    """Show the dead letters with one cause, newest first; `duly message show ID` tells one's whole way."""
    with database.session() as session:
        filters = doors.filters_of(session, cause=cause)
        found = [doors.LetterView.model_validate(row) for row in dead_letters.letters(session, filters, limit=limit)]
    if as_json:
        echo_json([row.model_dump(mode="json") for row in found])
        return
    print_table(
        ("message", "state", "since", "why", "code", "page", "template", "campaign"),
        [
            (
                str(row.id), row.state, format_instant(row.state_at), words(row.reason or ""), _code(row), row.page,
                row.template, str(row.campaign_id or ""),
            )
            for row in found
        ],
        whole=("message", "state", "since"),
        none=f"no dead letters have the cause {cause}",
    )  # fmt: skip


@app.command()
def redrive(
    ids: list[int] | None = _IDS,
    why: str = _WHY,
    cause: str | None = _CAUSE,
    everything: bool = _ALL,
    page: str | None = _PAGE,
    campaign: int | None = _CAMPAIGN,
    state: str | None = _STATE,
    reason: str | None = _REASON,
    limit: int = typer.Option(1000, min=1, max=MOST, help="At most so many that policy lets go, the oldest first."),
    after: int = typer.Option(0, min=0, max=2**63 - 1, help="With --cause or --all: only those behind this message."),
    may_arrive_twice: bool = typer.Option(
        False, "--may-arrive-twice", help="Also those of which nobody knows whether they arrived."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what policy says to it."),
    actor: str = _AS,
    yes: bool = _YES,
    as_json: bool = _JSON,
) -> None:
    """Send dead letters again, as new messages that policy decides anew. Shows the verdict first and asks."""
    wish = _asked(
        doors.RedriveWish, ids=ids or [], cause=cause, all=everything, page=page, campaign=campaign, state=state,
        reason=reason, limit=limit, after=after, why=why, may_arrive_twice=may_arrive_twice, dry_run=True,
    )  # fmt: skip
    with database.session() as session:
        seen = doors.act_redrive(session, wish, actor=actor, now=clock.now())
    if dry_run:
        if as_json:
            echo_json(seen.model_dump(mode="json"))
        else:
            echo(_outlook(seen))
        return
    if not yes:
        confirm(f"{_outlook(seen)}\nsend them again?", abort=True, err=True)
    # Whoever was shown the warning and said yes has said that they may.
    settled = {"dry_run": False, "may_arrive_twice": may_arrive_twice or not yes}
    with database.session() as session:
        done = doors.act_redrive(session, wish.model_copy(update=settled), actor=actor, now=clock.now())
    ring("deliver")
    if as_json:
        echo_json(done.model_dump(mode="json"))
        return
    before = f"; {len(done.resent_before)} had been before" if done.resent_before else ""
    stay = f"; {done.outlook.never} stay, policy forbids them" if done.outlook.never else ""
    echo(f"sent again: {len(done.resent)}{before}{stay}{_more(done)}")


@app.command()
def discard(
    ids: list[int] | None = _IDS,
    why: str = _WHY,
    cause: str | None = _CAUSE,
    everything: bool = _ALL,
    page: str | None = _PAGE,
    campaign: int | None = _CAMPAIGN,
    state: str | None = _STATE,
    reason: str | None = _REASON,
    limit: int = _LIMIT,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show how many."),
    actor: str = _AS,
    yes: bool = _YES,
    as_json: bool = _JSON,
) -> None:
    """Acknowledge dead letters: they leave the list and stay in the record."""
    wish = _asked(
        doors.Chosen, ids=ids or [], cause=cause, all=everything, page=page, campaign=campaign, state=state,
        reason=reason, limit=limit, why=why, dry_run=True,
    )  # fmt: skip
    with database.session() as session:
        seen = doors.act_discard(session, wish, actor=actor, now=clock.now())
    many = min(seen.matching, limit)
    if not dry_run:
        if not yes:
            confirm(f"{many} of {seen.matching} dead letters: discard them?", abort=True, err=True)
        with database.session() as session:
            seen = doors.act_discard(session, wish.model_copy(update={"dry_run": False}), actor=actor, now=clock.now())
    if as_json:
        echo_json(seen.model_dump(mode="json"))
        return
    echo(f"{many} of {seen.matching} would be discarded" if dry_run else f"discarded: {len(seen.discarded)}")


_Wish = TypeVar("_Wish", bound=doors.Chosen)


def _asked(kind: type[_Wish], **values: object) -> _Wish:
    """What was asked for. Raises Invalid naming the option."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Invalid(str(first["msg"]).lower(), field=str(first["loc"][0])) from None


def _code(row: doors.CauseView | doors.LetterView) -> str:
    if row.code is None:
        return ""
    return str(row.code) if row.subcode is None else f"{row.code}/{row.subcode}"


def _outlook(seen: doors.RedriveView) -> str:
    found = seen.outlook
    reasons = [
        f"{when} because {words(why)}: {number}" for when, whys in found.reasons.items() for why, number in whys.items()
    ]
    lines = [
        f"{seen.chosen} of {seen.matching} dead letters: {found.now} now, {found.later} later, {found.never} never"
    ]
    lines += reasons
    if found.may_arrive_twice:
        lines.append(
            f"nobody knows whether {found.may_arrive_twice} of them arrived: sent again they may arrive twice "
            "(--may-arrive-twice says that they may)"
        )
    return "\n".join(lines) + _more(seen)


def _more(seen: doors.RedriveView) -> str:
    if seen.next_after is None:
        return ""
    return f"\nthere may be more: --after {seen.next_after} goes on behind these"
