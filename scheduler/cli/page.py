"""``duly page``: the accounts that send. Secrets come from a file, the environment or a prompt, and are never shown."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
import warnings
from pathlib import Path

import typer

from scheduler import clock
from scheduler.api.instants import format_instant
from scheduler.cli.output import print_table
from scheduler.doorbell import ring
from scheduler.errors import Invalid, Unavailable
from scheduler.pages import changes, registry, stops
from scheduler.pages.check import check_page
from scheduler.pages.tables import Page
from scheduler.settings import get_settings
from scheduler.store import database
from scheduler.terminal import echo

app = typer.Typer(
    help="Register pages and change what they may do. Secrets are asked for, or read from the environment variables "
    "PAGE_TOKEN, APP_SECRET and VERIFY_TOKEN, or from files (- is standard input).",
    no_args_is_help=True,
)

_ACTOR = "cli"
_PAGE = typer.Argument(help="The platform's id of the page.")
_JSON = typer.Option(False, "--json", help="As JSON.")
_PLATFORM_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,127}")


@app.command()
def add(
    page: str = _PAGE,
    name: str = typer.Option(..., help="What people call the page."),
    app_id: str = typer.Option(..., "--app", help="The platform's id of the app that signs its webhooks."),
    mode: str = typer.Option("test", help="test sends to the allow-list only, live to everyone policy permits."),
    rate: int | None = typer.Option(None, help="Messages a second; default: DULY_DEFAULT_PAGE_RATE."),
    token_file: Path | None = typer.Option(None, help="A file with the page access token."),
    app_secret_file: Path | None = typer.Option(None, help="A file with the app's secret."),
    verify_token_file: Path | None = typer.Option(None, help="A file with the webhook's verify token."),
    as_json: bool = _JSON,
) -> None:
    """Register a page, in mode test unless told otherwise; the policy `default` decides for it."""
    _platform_id(page, "page")
    _platform_id(app_id, "app")
    token = read_secret("page access token", "PAGE_TOKEN", token_file)
    app_secret = read_secret("app secret", "APP_SECRET", app_secret_file)
    verify_token = read_secret("verify token", "VERIFY_TOKEN", verify_token_file)
    with database.session() as session:
        made = registry.add_page(
            session,
            app_external_id=app_id,
            app_secret=app_secret,
            verify_token=verify_token,
            external_id=page,
            name=name,
            token=token,
            mode=mode,
            rate=rate if rate is not None else get_settings().default_page_rate,
            now=clock.now(),
            actor=_ACTOR,
        )
    if as_json:
        echo(json.dumps(_shown(made), indent=2))
    else:
        echo(f"added {made.name} ({page}), mode {made.mode}; `duly page check {page}` tries its token")


@app.command()
def check(
    page: str | None = typer.Argument(None, help="The platform's id of the page; all pages when left out."),
    as_json: bool = _JSON,
) -> None:
    """Ask the platform whether tokens work. Ends with 1 when one does not."""
    settings = get_settings()
    with database.session() as session:
        pages = [registry.get_page(session, page)] if page is not None else registry.list_pages(session)
        known = [
            (each.external_id, each.stopped_reason, registry.page_token(each), registry.app_secret(session, each))
            for each in pages
        ]
    found = [
        (external_id, stopped, check_page(settings.graph_url, settings.graph_version, external_id, token, secret))
        for external_id, stopped, token, secret in known
    ]
    if as_json:
        rows = [
            {"page": external_id, "ok": each.ok, "name": each.name, "code": each.code, "detail": each.words}
            for external_id, _, each in found
        ]
        echo(json.dumps(rows, indent=2))
    elif not found:
        echo("no pages yet; `duly page add` registers one")
    else:
        for external_id, stopped, each in found:
            hint = f"; it is stopped ({stopped}): `duly page restore {external_id}`" if stopped and each.ok else ""
            echo(f"{external_id}  {'ok' if each.ok else 'FAILED'}  {each.words}{hint}")
    if not all(each.ok for _, _, each in found):
        raise typer.Exit(1)


@app.command("list")
def list_all(as_json: bool = _JSON) -> None:
    """Show all pages."""
    with database.session() as session:
        rows = [_shown(page) for page in registry.list_pages(session)]
    if as_json:
        echo(json.dumps(rows, indent=2))
        return
    print_table(
        ("page", "name", "mode", "a second", "stopped"),
        [
            (
                str(row["external_id"]),
                str(row["name"]),
                str(row["mode"]),
                str(row["rate"]),
                str(row["stopped_reason"] or "-"),
            )
            for row in rows
        ],
        whole=("page", "mode", "a second"),
        none="no pages yet; `duly page add` registers one",
    )


@app.command()
def allow(
    page: str = _PAGE,
    psids: list[str] | None = typer.Argument(None, help="People by their page-scoped ids; none shows the list."),
    remove: bool = typer.Option(False, "--remove", help="Take them off the list."),
    as_json: bool = _JSON,
) -> None:
    """Change or show whom a page in mode test may message."""
    for psid in psids or ():
        _platform_id(psid, "psids")
    with database.session() as session:
        found = registry.get_page(session, page)
        if psids:
            (changes.disallow if remove else changes.allow)(session, found, psids, actor=_ACTOR, now=clock.now())
        listed = changes.allowed(session, found)
    echo(json.dumps(listed) if as_json else "\n".join(listed) or "nobody")


@app.command()
def mode(page: str = _PAGE, to: str = typer.Argument(help="test or live.")) -> None:
    """Let a page send to its allow-list only (test), or to everyone policy permits (live)."""
    with database.session() as session:
        changes.set_mode(session, registry.get_page(session, page), to, actor=_ACTOR, now=clock.now())
    echo(f"{page} is in mode {to}")


@app.command()
def rate(page: str = _PAGE, to: int = typer.Argument(help="Messages a second, over all workers.")) -> None:
    """Change how fast a page sends."""
    with database.session() as session:
        changes.set_rate(session, registry.get_page(session, page), to, actor=_ACTOR, now=clock.now())
    echo(f"{page} sends {to} a second at most")


@app.command()
def token(
    page: str = _PAGE, token_file: Path | None = typer.Option(None, help="A file with the page access token.")
) -> None:
    """Give a page a new access token; a stopped page sends again."""
    given = read_secret("page access token", "PAGE_TOKEN", token_file)
    with database.session() as session:
        changes.set_token(session, registry.get_page(session, page), given, actor=_ACTOR, now=clock.now())
    echo(f"{page} has a new token; `duly page check {page}` tries it")


@app.command()
def marketing(
    page: str = _PAGE,
    ad_account: str | None = typer.Option(None, help="The platform's id of the ad account, without act_."),
    campaign: str | None = typer.Option(None, help="The platform's id of a message campaign in it."),
    off: bool = typer.Option(False, "--off", help="Send no paid marketing messages any more."),
) -> None:
    """Let a page send paid marketing messages to who granted a token, through an ad account."""
    if off == (ad_account is not None or campaign is not None):
        raise Invalid(
            "say what paid messages go through, or that there are to be none",
            field="ad_account",
            way_out="give --ad-account and --campaign, or --off",
        )
    with database.session() as session:
        found = registry.get_page(session, page)
        changes.set_marketing(session, found, ad_account, campaign, actor=_ACTOR, now=clock.now())
    echo(f"{page} sends no paid messages" if off else f"{page} sends paid messages through act_{ad_account}")


@app.command()
def restore(page: str = _PAGE) -> None:
    """Let a stopped page send again, once what stopped it is mended; or one that the platform has wait."""
    with database.session() as session:
        found = registry.get_page(session, page)
        assert found.id is not None  # a stored page has its id
        restored = stops.restore_page(session, found.id, now=clock.now(), actor=_ACTOR)
        try:
            ended = changes.end_wait(session, found, actor=_ACTOR, now=clock.now())
            unknown = ""
        except Unavailable:
            ended, unknown = False, "; whether the platform has it wait is not known: Redis does not answer"
    if restored or ended:
        ring("deliver")
    echo((f"{page} sends again" if restored or ended else f"{page} was not stopped, and does not wait") + unknown)


def _platform_id(given: str, field: str) -> None:
    if not _PLATFORM_ID.fullmatch(given):
        raise Invalid(
            f"`{given[:128]}` is not an id of the platform",
            field=field,
            way_out="copy it from the platform: digits, without spaces",
        )


def read_secret(words: str, variable: str, file: Path | None) -> str:
    """A secret from a file, else the environment, else a prompt; never from the command line, where others see it."""
    if file is not None:
        try:
            given = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(
                f"`{file}` cannot be read ({type(error).__name__})",
                field=variable.lower(),
                way_out="name a readable text file, or leave the option out to be asked",
            ) from error
    else:
        given = os.environ.get(variable) or _asked(words, variable)
    given = given.strip()
    if not given or not given.isascii() or any(character.isspace() for character in given):
        raise Invalid(
            f"that is no {words}",
            field=variable.lower(),
            way_out="copy it whole, without spaces, from the app's settings",
        )
    return given


def _asked(words: str, variable: str) -> str:
    with warnings.catch_warnings():
        # Without a terminal it would be asked for in the open, under a warning of Python's.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return str(typer.prompt(words, hide_input=True, err=True))
        except getpass.GetPassWarning:
            raise Invalid(
                f"no {words} was given", field=variable.lower(),
                way_out=f"set {variable}, name a file (- is standard input), or use a terminal to be asked",
            ) from None  # fmt: skip


def _shown(page: Page) -> dict[str, str | int | None]:
    return {
        "external_id": page.external_id,
        "name": page.name,
        "mode": page.mode,
        "rate": page.rate,
        "ad_account_id": page.ad_account_id,
        "message_campaign_id": page.message_campaign_id,
        "stopped_reason": page.stopped_reason,
        "stopped_at": format_instant(page.stopped_at) if page.stopped_at is not None else None,
        "created_at": format_instant(page.created_at),
    }
