"""Every setting, its meaning and its bounds, read once.

Precedence: command line, environment, ``.env``, the stack that runs in the data folder, defaults.

A name that starts with ``DULY_`` and is not listed here, or a value that cannot be read, stops the start by name.
"""

from __future__ import annotations

import difflib
import fcntl
import json
import os
import re
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from cryptography.fernet import Fernet
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from scheduler.errors import SettingsInvalid

PREFIX = "DULY_"

#: Where ``.env`` is looked for: the working folder. ``None`` reads none (the tests').
ENV_FILE: Path | None = Path(".env")

#: What ``duly up --port 8001`` and the like said; the strongest source.
_command_line: dict[str, object] = {}

_RATE = re.compile(r"[1-9]\d{0,8}/(second|minute|hour)")
_Url = Annotated[str, AfterValidator(lambda url: url.rstrip("/"))]

#: Where a test may let a process die (``scheduler/crash_points.py``): the boundaries at which something becomes true.
CrashPoint = Literal[
    "deliver.before_reserve",
    "deliver.before_commit",
    "deliver.after_commit",
    "deliver.before_post",
    "deliver.after_bytes",
    "deliver.after_answer",
    "settle.middle",
    "settle.after_commit",
    "tick.before_commit",
    "tick.after_commit",
    "plan.before_commit",
    "plan.after_commit",
    "wake.before_commit",
    "wake.after_commit",
    "sweep.before_commit",
    "sweep.after_commit",
    "webhook.before_commit",
    "webhook.after_commit",
]


class _RunningStack(PydanticBaseSettingsSource):
    """The addresses and the clock of the stack that runs in the data folder, so that a second terminal finds it."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the source's interface; ``__call__`` answers for all fields at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        data_dir = Path(str(self.current_state.get("data_dir", Settings.model_fields["data_dir"].default)))
        return {
            key.removeprefix(PREFIX).lower(): value
            for key, value in running_environment(data_dir).items()
            if key.startswith(PREFIX)
        }


class Settings(BaseSettings):
    """Duly's settings. Durations are seconds; those called real are not stretched by a virtual clock."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    env: Literal["development", "production"] = Field("development", description="development or production.")
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL, postgresql://user:password@host/name. Unset: `duly up` starts one.",
    )
    redis_url: SecretStr | None = Field(None, description="Redis, redis://host:6379/0. Unset: `duly up` starts one.")
    graph_url: _Url = Field("https://graph.facebook.com", pattern=r"^https?://", description="Where the Send API is.")
    graph_version: str = Field("v26.0", pattern=r"^v\d+\.\d+$", description="The Graph API version that requests name.")
    encryption_key: SecretStr | None = Field(
        None,
        description="Fernet keys, comma separated: the first seals page tokens and app secrets, all unseal. "
        "Unset in development: one is made in the data folder.",
    )
    data_dir: Path = Field(Path(".duly"), description="The folder for embedded servers, logs and the local key.")
    host: str = Field("127.0.0.1", description="The address the web process listens on.")
    port: int = Field(8000, ge=0, le=65535, description="The port the web process listens on; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least severe line to log.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="console, json, or auto: console on a terminal, else json."
    )
    clock_start: AwareDatetime | None = Field(
        None,
        description="Virtual clock: what it shows at the origin, e.g. 2026-03-28T08:00:00Z. Never in production.",
    )
    clock_rate: float | None = Field(None, gt=0, le=100_000, description="Virtual clock: its speed, in real time.")
    clock_origin: float | None = Field(
        None, ge=0, description="Virtual clock: the Unix time at which it shows the start."
    )
    clock_file: Path | None = Field(
        None,
        description="Virtual clock: a file that holds it, instead of the three; it can stand still. "
        "`duly demo` makes one. Never in production.",
    )
    send_guard: float = Field(
        2.0, ge=0, le=600, description="Real seconds that must be left of the permitted time when a send begins."
    )
    look_ahead: float = Field(
        3.0, ge=0, le=600, description="Real seconds that the search for what a policy would change may take."
    )
    clock_skew: float = Field(
        2.0,
        gt=0.1,
        le=600,
        description="Real seconds by which a process's clock and the database's may differ before it stops: a worker "
        "sends nothing, a web process takes no webhooks and no changes. "
        "Not looked at on a virtual clock.",
    )
    doubt_wait: float = Field(
        900.0, gt=0, description="Real seconds that an attempt in doubt waits for evidence before it is unconfirmed."
    )
    database_pool: int = Field(
        3,
        ge=1,
        le=50,
        description="The most database connections a process opens; a web process has more for webhooks, "
        "heavy reads and its health.",
    )
    webhook_pool: int = Field(
        6, ge=3, le=50, description="The most database connections a web process opens for webhooks alone."
    )
    heavy_reads: int = Field(
        2, ge=1, le=20, description="Summaries, previews and exports that a web process works on at a time."
    )
    web_processes: int = Field(
        1, ge=1, le=64, description="Processes that answer webhooks and the API, behind one address."
    )
    worker_children: int = Field(2, ge=1, le=64, description="Processes of one worker.")
    sender_threads: int = Field(8, ge=1, le=128, description="Threads of one worker process that post messages.")
    page_probe: float = Field(
        300.0,
        gt=0,
        description="Real seconds until a page that the platform refused is looked at again; doubles up to 4 hours.",
    )
    default_page_rate: int = Field(
        30, ge=1, le=39, description="Messages a second of a new page; more than 40 freeze a page's inbox."
    )
    webhook_max_bytes: int = Field(
        16_777_216,
        ge=1024,
        description="The largest webhook body that is read, in bytes: 1,000 events of the longest are 13 million.",
    )
    ready_due: float = Field(
        60.0, gt=0, description="Real seconds that messages may be due while nothing is begun before /readyz says so."
    )
    marks_days: int = Field(
        14,
        ge=1,
        le=50,
        description="Days for which marks of what was begun are kept in the data folder: a dump that is older cannot "
        "be restored without asking what was sent since.",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="The port on which a worker answers /metrics; 0: none, the web process does."
    )
    private_host: str = Field("127.0.0.1", description="The address of DULY_PRIVATE_PORT.")
    private_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The port of /metrics, /docs and /openapi.json alone; 0: they are where webhooks come in.",
    )
    public_docs: bool | None = Field(
        None,
        description="Whether /docs, /openapi.json and /metrics are where webhooks come in, too. Unset: in development.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies, comma separated, whose X-Forwarded-For and X-Forwarded-Proto "
        "are believed, e.g. 10.0.0.7,172.16.0.0/12. Unset: nobody's.",
    )
    web_connections: int = Field(
        2000, ge=16, le=100_000, description="The most connections to a web process at a time."
    )
    web_connections_per_address: int = Field(
        200,
        ge=8,
        le=100_000,
        description="The most of them from one address: of more, the oldest that wait for their client are closed. "
        "Trusted proxies have no such limit.",
    )
    web_head_seconds: float = Field(
        10.0, ge=1, le=120, description="Real seconds in which a request's headers must have come."
    )
    web_body_seconds: float = Field(
        20.0, ge=1, le=600, description="Real seconds in which a body must have come; every 16 KiB give one more."
    )
    web_answer_seconds: float = Field(
        20.0, ge=1, le=600, description="Real seconds after which a client that reads nothing of its answer is cut off."
    )
    key_rate: str = Field(
        "6000/minute",
        description="How often one API key may ask a web process. Signed webhooks are never limited.",
    )
    failure_rate: str = Field(
        "60/minute",
        description="How often an address may come with a wrong API key or verify token, to a web process.",
    )
    retention_events: int = Field(
        90, ge=14, le=36_500, description="Days for which raw platform events are kept; what proves a consent stays."
    )
    retention_messages: int = Field(
        400, ge=60, le=36_500, description="Days for which messages are kept with their attempts and decisions."
    )
    retention_shop: int = Field(
        400, ge=60, le=36_500, description="Days for which orders, products looked at and judged words are kept."
    )
    retention_import_errors: int = Field(
        30, ge=1, le=36_500, description="Days for which the (masked) errors of an import are kept."
    )
    crash_point: CrashPoint | None = Field(
        None, description="Tests only: the point at which a process kills itself, e.g. deliver.after_commit."
    )

    _virtual_clock: tuple[float, float, float] | None = PrivateAttr(None)

    #: Shown masked, wherever settings are printed.
    secret_fields: ClassVar[frozenset[str]] = frozenset({"database_url", "redis_url", "encryption_key"})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence, strongest first."""
        del file_secret_settings
        return init_settings, env_settings, dotenv_settings, _RunningStack(settings_cls)

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value().partition("://")[0] not in (
            "postgresql",
            "postgres",
            "postgresql+psycopg",
        ):
            raise ValueError("must be a PostgreSQL address, postgresql://user:password@host/name")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and url.get_secret_value().partition("://")[0] not in ("redis", "rediss"):
            raise ValueError("must be a Redis address, redis://host:6379/0")
        return url

    @field_validator("encryption_key")
    @classmethod
    def _are_fernet_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        for key in split_keys(keys):
            try:
                Fernet(key)
            except ValueError as error:
                raise ValueError(
                    "must be Fernet keys (32 bytes, url-safe base64), comma separated; `duly config new-key` makes one"
                ) from error
        return keys

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: str) -> str:
        for each in _listed(proxies):
            try:
                ip_network(each)
            except ValueError as error:
                raise ValueError(
                    f"must be addresses or networks, comma separated; `{each[:64]}` is neither: name no host, and "
                    "never `*`, or everybody could say where they come from"
                ) from error
        return proxies

    @field_validator("key_rate", "failure_rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        if _RATE.fullmatch(rate) is None:
            raise ValueError("must be a number of times in a second, minute or hour, e.g. 600/minute")
        return rate

    @field_validator("data_dir", "clock_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        clock = {
            "DULY_CLOCK_START": self.clock_start,
            "DULY_CLOCK_RATE": self.clock_rate,
            "DULY_CLOCK_ORIGIN": self.clock_origin,
        }
        missing = [name for name, value in clock.items() if value is None]
        if missing and len(missing) < len(clock):
            raise ValueError(f"{', '.join(missing)} must be set too: a virtual clock needs start, rate and origin")
        if self.clock_file is not None and not missing:
            raise ValueError("DULY_CLOCK_FILE is one clock, DULY_CLOCK_START, _RATE and _ORIGIN are another; unset one")
        if self.env == "production":
            if not missing:
                raise ValueError("DULY_CLOCK_START, DULY_CLOCK_RATE and DULY_CLOCK_ORIGIN are refused in production")
            if self.clock_file is not None:
                raise ValueError("DULY_CLOCK_FILE is refused in production")
            if self.crash_point is not None:
                raise ValueError("DULY_CRASH_POINT is refused in production")
            if self.encryption_key is None:
                raise ValueError("DULY_ENCRYPTION_KEY must be set in production; `duly config new-key` makes one")
        if self.clock_start is not None and self.clock_rate is not None and self.clock_origin is not None:
            self._virtual_clock = (self.clock_start.timestamp(), self.clock_rate, self.clock_origin)
        return self

    @property
    def proxies(self) -> list[str]:
        """The addresses and networks of trusted proxies."""
        return _listed(self.trusted_proxies)

    @property
    def open_description(self) -> bool:
        """Whether /docs, /openapi.json and /metrics are where webhooks come in."""
        if self.public_docs is None:
            return self.env == "development" and not self.private_port
        return self.public_docs

    @property
    def virtual_clock(self) -> tuple[float, float, float] | None:
        """(start, rate, origin), or None when the machine's clock is the clock."""
        return self._virtual_clock


def _listed(words: str) -> list[str]:
    return [each.strip() for each in words.split(",") if each.strip()]


def split_keys(keys: SecretStr | None) -> list[str]:
    """The keys of DULY_ENCRYPTION_KEY, the sealing one first."""
    text = keys.get_secret_value() if keys is not None else ""
    return [key.strip() for key in text.split(",") if key.strip()]


@cache
def get_settings() -> Settings:
    """The settings of this process, read once. Raises SettingsInvalid naming every setting that cannot be used."""
    _refuse_unknown(os.environ, "the environment")
    if ENV_FILE is not None and ENV_FILE.is_file():
        _refuse_unknown(dotenv_values(ENV_FILE), str(ENV_FILE))
    try:
        return Settings(_env_file=ENV_FILE, **_command_line)  # type: ignore[arg-type]  # values are validated by the model
    except ValidationError as error:
        raise SettingsInvalid("; ".join(_words(problem) for problem in error.errors())) from None


def command_line(**values: object) -> None:
    """Let what was said on the command line win over every other source; None says nothing."""
    _command_line.update({name: value for name, value in values.items() if value is not None})
    get_settings.cache_clear()


def running_environment(data_dir: Path) -> dict[str, str]:
    """The environment that the stack running in ``data_dir`` gave its children; empty when none runs.

    The supervisor holds an exclusive lock as long as it lives: a file left behind by a killed one is never believed.
    """
    folder = data_dir.expanduser()
    try:
        with (folder / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                stack = json.loads((folder / "stack.json").read_text())
                return {str(key): str(value) for key, value in stack["environment"].items()}
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    return {}


def _refuse_unknown(names: Mapping[str, object], place: str) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known)
    if not unknown:
        return
    sentences = []
    for name in unknown:
        near = difflib.get_close_matches(name.upper(), sorted(known), n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        sentences.append(f"{name} in {place} is not a setting{hint}")
    raise SettingsInvalid("; ".join(sentences), way_out="`duly config show` lists every setting")


def _words(problem: Any) -> str:
    place = problem["loc"]
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:] if not message.startswith(PREFIX) else message
    return f"{PREFIX}{str(place[0]).upper()}: {message}" if place else message


def sources() -> dict[str, str]:
    """Where each setting's value comes from, by field name; those left out are defaults."""
    found: dict[str, str] = {}
    settings = get_settings()
    env_names = {name.upper() for name, value in os.environ.items() if value}
    in_file = (
        {name.upper() for name, value in dotenv_values(ENV_FILE).items() if value}
        if ENV_FILE is not None and ENV_FILE.is_file()
        else set()
    )
    in_stack = running_environment(settings.data_dir)
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        if field in _command_line:
            found[field] = "command line"
        elif name in env_names:
            found[field] = "environment"
        elif name in in_file:
            found[field] = ".env"
        elif name in in_stack:
            found[field] = "running stack"
    return found


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting, secrets masked, in the order of this file."""
    origin = sources()
    rows = []
    for field in Settings.model_fields:
        value = getattr(settings, field)
        if value is None:
            shown = ""
        elif field in Settings.secret_fields:
            shown = "********"
        else:
            shown = value.isoformat() if hasattr(value, "isoformat") else str(value)
        rows.append((PREFIX + field.upper(), shown, origin.get(field, "default")))
    return rows


def example() -> str:
    """The text of ``.env.example``: every setting with its meaning and its default, commented out."""
    lines = ["# Copy to .env and change what you need; every line left out keeps its default.", ""]
    for name, field in Settings.model_fields.items():
        lines.append(f"# {field.description}")
        default = "" if field.default is None else field.default
        lines.append(f"# {PREFIX}{name.upper()}={default}")
        lines.append("")
    return "\n".join(lines)


def stated(field: str) -> str | None:
    """The value somebody set for ``field`` here, or None: what a running stack or a default says does not count."""
    if sources().get(field) not in ("command line", "environment", ".env"):
        return None
    value = getattr(get_settings(), field)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
