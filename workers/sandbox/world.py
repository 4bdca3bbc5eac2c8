"""What the platform knows now: pages, people, whose window is open, who has blocked whom. Rebuilt from the log at a
restart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from workers.sandbox.log import Record
from workers.sandbox.people import Page, Person
from workers.sandbox.permissions import Permissions

#: Seconds that an action of the person opens the window for.
WINDOW = 24 * 3600

#: Utility templates that are approved on every page, in every language.
APPROVED = frozenset({"order_shipped", "order_confirmed", "delivery_update", "appointment_reminder"})

_PERSON = frozenset(each.name for each in fields(Person))


@dataclass(slots=True)
class Standing:
    """How a person stands to their page. ``last_inbound`` is the platform's instant, epoch seconds."""

    last_inbound: float | None = None
    blocked: bool = False

    def window_open(self, at: float) -> bool:
        """Whether the page may write at ``at`` without a template."""
        return self.last_inbound is not None and at < self.last_inbound + WINDOW


@dataclass(slots=True)
class Template:
    """A utility template somebody registered."""

    id: str
    page_id: str
    name: str
    language: str
    category: str


@dataclass(slots=True)
class World:
    """The state behind the Send API."""

    pages: dict[str, Page]
    people: dict[str, Person] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    templates: list[Template] = field(default_factory=list)
    permissions: Permissions = field(default_factory=Permissions)
    #: Pages whose token was revoked.
    revoked: set[str] = field(default_factory=set)
    #: When the script began on the platform's clock; None before ``play``.
    playing_since: float | None = None
    #: Ids of acts that have happened.
    happened: set[str] = field(default_factory=set)
    #: Webhooks of people's acts that are neither acknowledged nor given up: id → record.
    open_events: dict[str, Record] = field(default_factory=dict)
    delivered: int = 0
    failed: int = 0
    requests: int = 0
    accepted: int = 0
    refused: int = 0

    def page_of_token(self, token: str | None) -> Page | None:
        """The page a token belongs to; none when it was revoked."""
        found = next((page for page in self.pages.values() if token and page.access_token == token), None)
        return None if found is None or found.id in self.revoked else found

    def standing(self, psid: str) -> Standing:
        """How a person stands to their page, made on first use."""
        return self.standings.setdefault(psid, Standing())

    def is_approved(self, page_id: str, name: str, language: str) -> bool:
        """Whether a page may use a utility template in a language."""
        return name in APPROVED or any(
            (template.page_id, template.name, template.language) == (page_id, name, language)
            for template in self.templates
        )

    def learn(self, record: Record) -> None:
        """Take in one thing that happened. Every change of this state is a line of the log first."""
        self.permissions.learn(record)
        match record["kind"]:
            case "person":
                person = Person(**{name: value for name, value in record.items() if name in _PERSON})
                self.people[person.psid] = person
            case "play":
                self.playing_since = record["at"]
            case "inbound":
                self._inbound(record)
            case "acknowledged":
                if self.open_events.pop(record["id"], None) is not None:
                    self.delivered += 1
            case "given_up":
                if self.open_events.pop(record["id"], None) is not None:
                    self.failed += 1
            case "block" | "unblock":
                self.standing(record["psid"]).blocked = record["kind"] == "block"
                self.happened.add(record["id"])
            case "template":
                self.templates.append(
                    Template(*(record[name] for name in ("id", "page_id", "name", "language", "category")))
                )
            case "token":
                change = self.revoked.add if record["revoked"] else self.revoked.discard
                change(record["page_id"])
            case "request":
                self.requests = max(self.requests, record["n"])
            case "answer":
                if record.get("mid") is not None:
                    self.accepted += 1
                elif record.get("code") is not None:
                    self.refused += 1

    def recall(self, records: Iterable[Record]) -> None:
        """Take in a whole log: a restarted sandbox goes on where it was."""
        for record in records:
            self.learn(record)

    def _inbound(self, record: Record) -> None:
        self.happened.add(record["id"])
        self.open_events[record["id"]] = record
        if record["opens"]:
            standing = self.standing(record["psid"])
            standing.last_inbound = max(standing.last_inbound or 0.0, record["at"])
            standing.blocked = False
