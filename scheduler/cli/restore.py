"""``duly restore``: a database that went back in time, and the way until it may send again."""

from __future__ import annotations

import socket
from dataclasses import asdict
from typing import Any

import redis
import typer

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import echo_json, print_table
from scheduler.errors import Invalid, Unavailable
from scheduler.lineage import guard, restoring
from scheduler.lineage.identity import hold_by_hand, identity
from scheduler.lineage.restoring import ASSUMPTIONS, Report
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.terminal import confirm, echo

app = typer.Typer(
    help="After a database was restored from a dump: see what it does not know, settle it, let it send again.",
    no_args_is_help=True,
)

_JSON = typer.Option(False, "--json", help="As JSON.")
_AS = typer.Option("cli", "--as", help="Who does it, for the audit.")
_WHY = typer.Option(..., "--why", help="Why; kept in the audit.")
_YES = typer.Option(False, "--yes", help="Do not ask.")
_INSTANTS = ("held_at", "knows_until", "first", "last", "at", "seen_at")


@app.command()
def status(as_json: bool = _JSON) -> None:
    """Show whether the database is held and what it does not know. Ends with 0: it may send, 1: it is held."""
    found = _look()
    if as_json:
        echo_json(_as_json(found))
    else:
        _print(found)
    if found.held_at is not None:
        raise typer.Exit(1)


@app.command()
def settle(who: str = _AS, as_json: bool = _JSON) -> None:
    """Put what may have gone where it is not sent again, and in force what people chose. Repeating it is harmless."""
    _look()
    attempts = 0
    while True:
        with database.session() as session:
            done = restoring.settle(session, clock.now())
        if not done:
            break
        attempts += done
    with database.session() as session:
        choices, strangers = restoring.settle_people(session, actor=who, now=clock.now())
    found = _look()
    if as_json:
        echo_json({"attempts": attempts, "choices": choices, "choices_of_nobody_here": strangers} | _as_json(found))
        return
    echo(f"settled {attempts} attempts, and {choices} choices of people")
    _print(found)


@app.command()
def release(
    why: str = _WHY,
    assume: str | None = typer.Option(
        None, help="What counts as true of whatever no marks tell of: sent (it is not sent again) or unsent."
    ),
    who: str = _AS,
    yes: bool = _YES,
    as_json: bool = _JSON,
) -> None:
    """Let the database send again. Ends with 5 while something is not settled, or marks are missing."""
    if assume is not None and assume not in ASSUMPTIONS:
        raise Invalid(f"`{assume}` cannot be assumed", field="--assume", way_out="say sent or unsent")
    found = _look()
    if found.held_at is not None and not yes:
        confirm("Does no other copy of this database send, and may this one?", abort=True, err=True)
    with database.session() as session:
        stood = restoring.release(
            session, why=why, actor=who, now=clock.now(), gaps=_gaps(session, found), assume=_assumption(assume)
        )
    if as_json:
        echo_json({"released": True, "settled": stood.settled})
        return
    echo("released: workers send again within seconds")


@app.command()
def hold(why: str = _WHY, who: str = _AS) -> None:
    """Let nothing be sent until it is released: before you start Duly on a dump that is older than its marks, say."""
    with database.session() as session:
        hold_by_hand(session, why, actor=who, now=clock.now())
    echo("held: nothing is sent until `duly restore release`")


def _look() -> Report:
    """Hold the database if need be, hand in the marks that are here, and see how it stands."""
    settings = get_settings()
    folder, now = settings.data_dir / guard.FOLDER, clock.now()
    try:
        with database.session() as session:
            guard.look(session, folder, _redis(), socket.gethostname(), now)
    except redis.RedisError:
        # The files are better marks; whoever sends asks Redis too.
        with database.session() as session:
            guard.look(session, folder, None, socket.gethostname(), now)
    except OSError as error:
        raise Unavailable(
            f"the marks in `{folder}` cannot be read ({error.strerror})", way_out="check the folder and its owner"
        ) from None
    with database.session() as session:
        found = restoring.report(session)
        return restoring.report(session, gaps=_gaps(session, found)) if found.held_at is not None else found


def _gaps(session: Any, found: Report) -> list[str]:
    known = identity(session)
    assert known is not None  # it was looked at
    return guard.gaps(session, known, get_settings().data_dir / guard.FOLDER, _redis(), found.knows_until)


def _assumption(word: str | None) -> restoring.Assumption | None:
    return next((each for each in ASSUMPTIONS if each == word), None)


def _redis() -> redis.Redis | None:
    url = get_settings().redis_url
    if url is None:
        return None
    return redis.Redis.from_url(url.get_secret_value(), socket_timeout=3, socket_connect_timeout=3)


def _as_json(found: Report) -> dict[str, Any]:
    told: dict[str, Any] = _instants(asdict(found))
    return {"held": found.held_at is not None} | told


def _instants(given: Any) -> Any:
    if isinstance(given, dict):
        return {
            name: format_instant(value) if name in _INSTANTS and value is not None else _instants(value)
            for name, value in given.items()
        }
    return [_instants(each) for each in given] if isinstance(given, list) else given


def _print(found: Report) -> None:
    if found.held_at is None:
        echo("the database is not held: it knows all that was begun")
        return
    echo(f"held since {format_instant(found.held_at)}: {found.why}", fg=typer.colors.RED)
    if found.knows_until is not None:
        echo(f"the newest attempt that it knew by itself is of {format_instant(found.knows_until)}")
    if found.first is not None and found.last is not None:
        echo(f"it did not know attempts from {format_instant(found.first)} to {format_instant(found.last)}")
    rows = [("to settle", kind, str(number)) for kind, number in sorted(found.to_settle.items())]
    rows += [("settled", kind, str(number)) for kind, number in sorted(found.settled.items())]
    rows += [("to settle", "choices of people", str(found.choices_to_settle))] if found.choices_to_settle else []
    rows += [("settled", "choices of people", str(found.choices_settled))] if found.choices_settled else []
    print_table(("", "what", "number"), rows, none="nothing is known that it does not know")
    for campaign in found.campaigns:
        where = "" if campaign.here else ", which this database does not know"
        echo(f"{campaign.messages} messages of campaign {campaign.campaign}{where}")
    if found.withdrawn:
        echo(f"{found.withdrawn} consents were withdrawn: the shop has to say so again")
    for act in found.acts:
        echo(f"{format_instant(act.at)} {act.actor} did {act.action} to {act.about}: do it again if it still holds")
    for gap in found.gaps:
        echo(f"not whole: {gap}", fg=typer.colors.RED)
    if found.to_settle or found.choices_to_settle:
        echo("next: duly restore settle")
    else:
        echo("next: duly restore release --why …")
