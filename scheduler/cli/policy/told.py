"""Facts told on the command line: the options that commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from policies.facts import CATEGORIES, UTC_OFFSETS
from scheduler.cli.policy.written import CONSENTS, TOKENS, WHEN

#: The offsets that a profile may tell, in hours east of UTC.
EAST = (UTC_OFFSETS[0] // 60, UTC_OFFSETS[1] // 60)


def _option(words: str, **more: Any) -> Any:
    return typer.Option(help=words, **more)


def _flag(name: str, words: str) -> Any:
    return typer.Option(name, help=words)


@dataclass(slots=True, kw_only=True)
class Told:
    """What the options said, as it was typed."""

    policy: Annotated[
        str | None, _option("A built-in policy, a file, or a version. Default: the page's active one, or `default`.")
    ] = None
    at: Annotated[
        str | None, _option("When: an instant like 2026-03-28T08:00Z, or how long ago: 90m, 2h, 3d. Default: now.")
    ] = None
    message: Annotated[int | None, _option("A stored message: its person and its content.", min=1)] = None
    contact: Annotated[str | None, _option("A stored person, PAGE/PSID.")] = None
    timezone: Annotated[list[str], _option("An IANA zone; several are candidates.")] = field(default_factory=list)
    utc_offset: Annotated[float | None, _option("The offset a profile tells, in hours.", min=EAST[0], max=EAST[1])] = (
        None
    )
    country: Annotated[str | None, _option("ISO 3166-1 alpha-2.")] = None
    region: Annotated[str | None, _option("ISO 3166-2, US-FL.")] = None
    last_inbound: Annotated[str | None, _option(f"The person's last message: {WHEN}.")] = None
    ad_inbound: Annotated[
        str | None, _option("Their first message after a click on a Click-to-Messenger advertisement.")
    ] = None
    consent: Annotated[
        list[str],
        _option(f"KIND, and perhaps ,granted=WHEN ,expires=WHEN ,topic=TOPIC; KIND is {', '.join(CONSENTS)}."),
    ] = field(default_factory=list)
    token: Annotated[
        list[str],
        _option(
            f"KIND, and perhaps ,used=WHEN ,expires=WHEN ,topic=TOPIC; KIND is {', '.join(TOKENS)}. May be repeated."
        ),
    ] = field(default_factory=list)
    sent: Annotated[
        list[str],
        _option(f"An earlier send: WHEN, and perhaps ,category=… ,ground=…; WHEN is {WHEN}. May be repeated."),
    ] = field(default_factory=list)
    opted_out: Annotated[bool, _flag("--opted-out", "They asked for no messages.")] = False
    opted_out_topic: Annotated[list[str], _option("They asked for none on this topic.")] = field(default_factory=list)
    opted_out_at: Annotated[str | None, _option("When they asked for no more.")] = None
    blocked: Annotated[bool, _flag("--blocked", "They blocked the page.")] = False
    unreachable: Annotated[bool, _flag("--unreachable", "The platform does not know them.")] = False
    erased: Annotated[bool, _flag("--erased", "Their data was erased.")] = False
    handover: Annotated[bool, _flag("--handover", "A person of the team has the thread.")] = False
    handover_at: Annotated[str | None, _option("When that person last wrote or took it; implies --handover.")] = None
    kill_switch: Annotated[bool, _flag("--kill-switch", "A kill switch is engaged.")] = False
    page_stopped: Annotated[bool, _flag("--page-stopped", "The page is stopped.")] = False
    campaign_paused: Annotated[bool, _flag("--campaign-paused", "The campaign is paused.")] = False
    category: Annotated[str | None, _option(f"{', '.join(CATEGORIES)}. Default: promotional.")] = None
    topic: Annotated[str | None, _option("The message's topic.")] = None
    template_approved: Annotated[bool, _flag("--template-approved", "It is an approved utility template.")] = False
    may_wait: Annotated[
        bool,
        _flag("--may-wait", "It may wait until the person writes or their zone is known, instead of being denied."),
    ] = False
    confirms_opt_out: Annotated[bool, _flag("--confirms-opt-out", "It does nothing but confirm an opt-out.")] = False
    not_before: Annotated[str | None, _option("Not before this instant.")] = None
    expires_at: Annotated[str | None, _option("Not from this instant on.")] = None


def tells(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of ``Told``; it takes them together as its first parameter."""

    @wraps(command)
    def wrapped(**given: Any) -> None:
        told = Told(**{each.name: given.pop(each.name) for each in fields(Told)})
        command(told, **given)

    hints = get_type_hints(Told, include_extras=True)
    own = get_type_hints(command, include_extras=True)
    blank = Told()
    parameters = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(blank, each.name), annotation=hints[each.name]
        )
        for each in fields(Told)
    ]
    parameters += [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own[each.name])
        for each in list(inspect.signature(command).parameters.values())[1:]
    ]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # this is how it is told
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped
