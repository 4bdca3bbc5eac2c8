"""Structured logs: events with fields. Nothing secret or personal gets out, whatever a caller passes.

On a terminal the lines are for people, elsewhere JSON. Lines of libraries (Celery, Uvicorn) pass the same redaction.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from scheduler.neutral import plain

#: Fields never shown: credentials, and what tells who somebody is or what they said.
_SECRET_WORDS = frozenset(
    {
        "token", "secret", "password", "authorization", "signature", "credential", "psid", "recipient", "sender",
        "text", "payload", "body", "first_name", "last_name", "phone", "email",
        "psids", "user_ref", "full_name", "display_name", "names", "mail", "e_mail", "address", "telephone", "mobile",
        "words", "said", "phrase", "cells", "attributes", "variables", "facts", "profile", "wording", "crm_id",
    }
)  # fmt: skip
_SECRET_ENDINGS = (
    "_token", "_secret", "_password", "_key", "_psid", "_text", "_payload", "_body", "_signature", "_psids", "_tokens",
    "_email", "_phone",
)  # fmt: skip

#: Parts of a JSON text, of a dictionary or of arguments, as they stand in the words of an exception.
_TELLING = r"(?:psids?|text|payload|name|first_name|last_name|phone|e_?mail|\w*token|\w*secret|phrase|locale|value)"

#: Characters of one text in a log; of a longer one its beginning and its end are kept. An address may have 64 KiB.
LONGEST = 16_384
_BEGINNING = 4_096

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")

#: What a credential looks like inside a longer string.
_SECRET_SHAPES = (
    (re.compile(r"EAA[A-Za-z0-9]{8,}"), "[token]"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s\"',]+"), r"\1 [token]"),
    (re.compile(r"(?i)\b(access_token|appsecret_proof|hub\.verify_token|client_secret)=[^&\s\"']+"), r"\1=[token]"),
    (re.compile(r"\bsha(1|256)=[0-9a-fA-F]{40,64}"), r"sha\1=[signature]"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+]*://[^\s:/@]*):[^\s@/]+@"), r"\1:[password]@"),
    (re.compile(r"(?<![\w.-])\d{15,20}(?![\w-])"), "[id]"),  # page-scoped ids have 15 to 17 digits
    # A node of the Graph API that is read is mostly a person.
    (re.compile(r"(/v\d+\.\d+/)(?!me\b|\[)[^/\s?\"']+(?=[?\s\"']|$)"), r"\1[id]"),
    # Tried where a word begins alone: at each of its letters it would be read to its end anew.
    (re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (re.compile(r"(?<![\w.+:-])\+[1-9](?:[\s().\-/]{0,2}\d){6,14}(?![\w-])"), "[phone]"),
    (re.compile(rf"""(?i)(["']{_TELLING}["']\s*:\s*)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""), r"\1[redacted]"),
    (re.compile(r"""(?i)\b(psid|recipient|sender|phone|e_?mail|first_name)=(["']?)[^\s&,)"']+\2"""), r"\1=[redacted]"),
    # Our own messages, and those of what checks input, quote what was given.
    (re.compile(r"(?i)\b((?:contact|psid|person|number|address|id)s? )`[^`]*`"), r"\1`[redacted]`"),
    (re.compile(r"(?s)\binput_value=.*?(?=, input_type=|$)"), "input_value=[redacted]"),
    (re.compile(r"""(?m)(\binvalid input [^\n"]*: )"[^\n]*"$"""), r"\1[redacted]"),
    (re.compile(r"(/contacts/)[^/\s?\"']+"), r"\1[id]"),  # an address names somebody, whatever the id looks like
    (re.compile(r"(?m)^(DETAIL|CONTEXT):.*"), r"\1: [withheld]"),  # PostgreSQL quotes the row that it refuses
)


def configure(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Send every log line of this process through one redacting handler on ``stream`` (standard error).

    ``style`` is ``console``, ``json`` or ``auto``: for people on a terminal, else JSON.
    """
    out = stream if stream is not None else sys.stderr
    for_people = style == "console" or (style == "auto" and out.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[structlog.types.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if for_people:
        ending += [
            structlog.processors.format_exc_info,
            redact,
            _harmless,
            structlog.dev.ConsoleRenderer(colors=out.isatty()),
        ]
    else:
        ending += [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=ending))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level != "debug":
        logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of its own plugins
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        # `uvicorn --no-access-log` leaves it without a handler and cut off: it stays that way.
        if logger.handlers or name != "uvicorn.access":
            logger.propagate = True
        logger.handlers[:] = []
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for events with fields: ``log.info("message_deferred", reason=…, until=…)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def bind_request(given: str | None = None) -> str:
    """Let every line of this request, task or command carry one id: ``given`` where it can be used, else a new one.

    What is not a short plain word, or looks like something that is masked, is not used.
    """
    plain = given is not None and _REQUEST_ID.fullmatch(given) is not None and clean(given) == given
    chosen = given if plain and given is not None else secrets.token_hex(16)
    structlog.contextvars.bind_contextvars(request_id=chosen)
    return chosen


def request_id() -> str | None:
    """The id of the request, task or command that runs, where one was bound."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return found if isinstance(found, str) else None


class Complaints:
    """Errors that are met again and again: the same about the same thing is told once in ``silence`` real seconds."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        #: (event, what it is about) → when it was last told, ``time.monotonic()``.
        self._told: dict[tuple[str, object], float] = {}

    def tell(self, log: structlog.stdlib.BoundLogger, event: str, about: object, **fields: object) -> None:
        """Log the error, unless it was told lately."""
        present = time.monotonic()
        if present - self._told.get((event, about), float("-inf")) >= self._silence:
            self._told[event, about] = present
            log.error(event, **fields)

    def forget(self) -> None:
        """Whatever is met next is told."""
        self._told.clear()


#: Those of this process.
complaints = Complaints(silence=60.0)


def complain(log: structlog.stdlib.BoundLogger, event: str, about: object, **fields: object) -> None:
    """Log an error that is met again and again: at most once a minute for the same event ``about`` the same thing."""
    complaints.tell(log, event, about, **fields)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what is secret or personal in a log event, by field name and by shape, at any depth."""
    for key, value in event.items():
        event[key] = clean(value) if key == "event" else _field(key, value)
    return event


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out what a terminal would obey. JSON does that by itself."""
    for key, value in event.items():
        if value is not None and not isinstance(value, (bool, int, float)):
            event[key] = plain(value if isinstance(value, str) else repr(value))
    return event


def clean(value: object) -> object:
    """``value`` with secret fields and what looks like a credential masked."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            value = f"{value[:_BEGINNING]} … {len(value) - LONGEST} characters … {value[_BEGINNING - LONGEST :]}"
        for shape, mask in _SECRET_SHAPES:
            value = shape.sub(mask, value)
        return value
    if isinstance(value, Mapping):
        return {key: _field(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return clean(str(value))


def _field(key: str, value: object) -> object:
    name = key.lower()
    if value is not None and (name in _SECRET_WORDS or name.endswith(_SECRET_ENDINGS)):
        return "[redacted]"
    return clean(value)
