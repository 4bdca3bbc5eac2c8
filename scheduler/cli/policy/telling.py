"""Facts as the options that tell them: what a comparison found can be asked again by ``duly policy explain``."""

from __future__ import annotations

from policies.facts import Consent, Facts, Send, Token
from policies.terms import duration

_FLAGS = (
    "opted_out", "blocked", "unreachable", "erased", "handover", "kill_switch", "page_stopped", "campaign_paused",
    "template_approved", "may_wait", "confirms_opt_out",
)  # fmt: skip
_TEXTS = ("country", "region", "topic")
_INSTANTS = ("last_inbound", "ad_inbound", "opted_out_at", "handover_at", "not_before", "expires_at")


def as_options(facts: Facts, at: int) -> list[str]:
    """The options that tell these facts to a command with ``--at`` this instant."""
    found: list[str] = []
    for zone in facts.timezones:
        found += ["--timezone", zone]
    if facts.utc_offset is not None:
        found += ["--utc-offset", f"{facts.utc_offset / 60:g}"]
    for name in _TEXTS:
        if getattr(facts, name) is not None:
            found += [_option(name), getattr(facts, name)]
    for name in _INSTANTS:
        if (instant := getattr(facts, name)) is not None:
            found += [_option(name), _when(instant, at)]
    for consent in facts.consents:
        found += ["--consent", _consent(consent, at)]
    for token in facts.tokens:
        found += ["--token", _token(token, at)]
    if facts.category != "promotional":
        found += ["--category", facts.category]
    for send in facts.sends:
        found += ["--sent", _send(send, facts.category, at)]
    for topic in facts.opted_out_topics:
        found += ["--opted-out-topic", topic]
    return [*found, *(_option(name) for name in _FLAGS if getattr(facts, name))]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _when(instant: int, at: int) -> str:
    return duration(at - instant) if instant <= at else f"+{duration(instant - at)}"


def _consent(consent: Consent, at: int) -> str:
    parts = [consent.kind, f"granted={_when(consent.granted_at, at)}"]
    parts += [f"expires={_when(consent.expires_at, at)}"] if consent.expires_at is not None else []
    return ",".join([*parts, *([f"topic={consent.topic}"] if consent.topic else [])])


def _token(token: Token, at: int) -> str:
    parts = [token.kind]
    parts += [f"used={_when(token.last_used_at, at)}"] if token.last_used_at is not None else []
    parts += [f"expires={_when(token.expires_at, at)}"] if token.expires_at is not None else []
    return ",".join([*parts, *([f"topic={token.topic}"] if token.topic else [])])


def _send(send: Send, category: str, at: int) -> str:
    parts = [_when(send.at, at)]
    parts += [f"category={send.category}"] if send.category != category else []
    return ",".join([*parts, *([f"ground={send.ground}"] if send.ground else [])])
