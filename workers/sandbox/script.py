"""The demo's script: what every virtual person does over a virtual day, and what they mean by it.

People act at plausible hours of their own day; the windows of some early birds close just before the next morning.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workers.sandbox import words
from workers.sandbox.people import Page, Person
from workers.sandbox.zones import local, offset_hours

HOUR = 3600
#: Seconds after the start in which people act.
DAY = 24 * HOUR
#: When the shop launches its campaign; some change their minds only then.
CAMPAIGN = int(14.5 * HOUR)
#: Shares of the people, in percent: who opt out, who block the page, who ask to be told that a product is back.
STOPPERS, BLOCKERS, ASKERS = 6, 4, 32
#: Of four people where early birds live, one is.
_EARLY = frozenset(
    {
        "Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Phoenix", "America/Denver",
        "America/Chicago", "America/Mexico_City", "America/Guatemala", "America/Bogota", "America/Lima",
    }
)  # fmt: skip
#: Local hours in which people pick up their phones.
_UP, _TO_BED = 7.5, 23.5

Kind = Literal["message", "quick_reply", "postback", "optin", "one_time", "stop_updates", "resume_updates", "block"]


@dataclass(slots=True, kw_only=True)
class Act:
    """One thing a person does. ``at`` is the platform's instant; ``intent`` is what the person means."""

    id: str
    psid: str
    at: float
    kind: Kind
    text: str | None = None
    payload: str | None = None
    intent: Literal["stop", "start"] | None = None
    #: When the token that it grants ends, if it does.
    expires_at: float | None = None

    @property
    def opens_window(self) -> bool:
        """Whether the platform lets the page answer for 24 hours after it."""
        return self.kind in ("message", "quick_reply", "postback")


def write_script(seed: int, people: Sequence[Person], pages: Sequence[Page], start: float) -> list[Act]:
    """Everything that happens from ``start`` on, in order of time."""
    rng = random.Random(f"{seed}:script")
    skus = {page.id: page.skus for page in pages}
    speakers = [person.psid for person in people if words.language(person.locale) in words.STOP]
    rng.shuffle(speakers)
    stoppers = speakers[: max(1, len(people) * STOPPERS // 100)] if speakers else []
    rest = sorted({person.psid for person in people} - set(stoppers))
    rng.shuffle(rest)
    blockers = rest[: len(people) * BLOCKERS // 100]
    acts: list[Act] = []
    for person in people:
        own = random.Random(f"{seed}:{person.psid}")
        life = _Life(own, person, skus[person.page_id], start)
        if person.psid in stoppers:
            # Of three, one only after the campaign has begun.
            life.stop(late=stoppers.index(person.psid) % 3 == 2)
        elif person.psid in blockers:
            life.block(late=blockers.index(person.psid) % 2 == 1)
        acts += life.told()
    acts.sort(key=lambda act: (act.at, act.id))
    return acts


class _Life:
    """One person's day."""

    def __init__(self, rng: random.Random, person: Person, skus: Sequence[str], start: float) -> None:
        self._rng, self._person, self._start = rng, person, start
        self._tongue = words.language(person.locale)
        self._acts: list[Act] = []
        early = person.zone in _EARLY and rng.random() < 0.25
        first = self._early() if early else self._first()
        self._acts.append(self._opening(first, skus))
        if rng.random() * 100 < ASKERS:
            later = rng.uniform(10, 60) if early else rng.uniform(60, 600)
            self._add(first + later, "postback", words.NOTIFY_TITLE, f"NOTIFY_ME:{rng.choice(skus)}")
        if person.evidence == "optin_iana":
            self._add(first + rng.uniform(20, 900), "optin")
        if not early:
            self._come_back(first, skus)

    def _early(self) -> float:
        """Some minutes to an hour before eight: the window closes just before the next morning's hours begin."""
        morning = self._start + CAMPAIGN
        while local(morning, self._person.zone).hour != 8:
            morning += HOUR / 4
        morning -= local(morning, self._person.zone).minute * 60
        # Half of them so shortly before that a window of one hour more would let a message through.
        minutes = self._rng.uniform(2, 12) if self._rng.random() < 0.5 else self._rng.uniform(12, 50)
        first = morning - DAY - minutes * 60
        return first if first >= self._start else self._start + minutes * 60

    def _first(self) -> float:
        """When the person writes first: most on the first day; in the Americas where it is day everywhere there."""
        rng, start = self._rng, self._start
        hour = rng.random()
        if -10 <= offset_hours(start, self._person.zone) <= -2.5 and hour < 0.85:
            return self._awake(start + HOUR, start + 8 * HOUR)
        if hour < 0.92:
            return self._awake(start, start + CAMPAIGN - HOUR / 2)
        return self._awake(start + CAMPAIGN, start + DAY)

    def _opening(self, at: float, skus: Sequence[str]) -> Act:
        chance = self._rng.random()
        if chance < 0.12:
            return self._act(at, "postback", "Get Started", "GET_STARTED")
        if chance < 0.22:
            return self._act(at, "postback", words.NOTIFY_TITLE, f"NOTIFY_ME:{self._rng.choice(skus)}")
        return self._act(at, "message", self._small_talk())

    def _come_back(self, first: float, skus: Sequence[str]) -> None:
        rng, end = self._rng, self._start + DAY
        for chance in (0.42, 0.18):
            if rng.random() >= chance or first + HOUR >= end:
                continue
            at = self._awake(first + HOUR, end)
            if rng.random() < 0.3:
                title, payload = rng.choice(words.QUICK_REPLIES)
                self._add(at, "quick_reply", title, payload)
            elif rng.random() < 0.2:
                self._add(at, "postback", words.NOTIFY_TITLE, f"NOTIFY_ME:{rng.choice(skus)}")
            else:
                self._add(at, "message", self._small_talk())

    def stop(self, *, late: bool) -> None:
        """The person has had enough: says STOP, and then perhaps something more; a few come back."""
        rng, first = self._rng, min(act.at for act in self._acts)
        at = self._change_of_mind(first, late=late)
        self._acts = [act for act in self._acts if act.at < at]
        if rng.random() < 0.15:
            self._add(at, "quick_reply", rng.choice(words.STOP[self._tongue]), "STOP", intent="stop")
        else:
            self._add(at, "message", rng.choice(words.STOP[self._tongue]), intent="stop")
        if rng.random() < 0.3:
            self._add(at + rng.uniform(30, 300), "message", words.AFTERTHOUGHT[self._tongue])
        back = self._awake(at + HOUR, at + 8 * HOUR)
        if rng.random() < 0.2 and back < self._start + DAY + HOUR:
            self._add(back, "message", words.START, intent="start")

    def block(self, *, late: bool) -> None:
        """The person blocks the page. No webhook tells of it."""
        at = self._change_of_mind(min(act.at for act in self._acts), late=late)
        self._acts = [act for act in self._acts if act.at < at]
        self._add(at, "block")

    def told(self) -> list[Act]:
        """Everything the person does, in order, with ids that stay the same for the seed."""
        self._acts.sort(key=lambda act: act.at)
        for number, act in enumerate(self._acts):
            act.id = f"{self._person.psid}-{number}"
        return self._acts

    def _change_of_mind(self, first: float, *, late: bool) -> float:
        campaign = self._start + CAMPAIGN
        if late and first < campaign:
            # Half of them just as its messages go out, where that is not in the night.
            just_then = self._awake(campaign, campaign + 2 * HOUR)
            if self._rng.random() < 0.5 and self._is_up(just_then):
                return just_then
            return self._awake(campaign, self._start + DAY + HOUR)
        return first + self._rng.uniform(10, 150) * 60

    def _awake(self, earliest: float, latest: float) -> float:
        """An instant between the two at which it is day for the person; if there is none, any."""
        at = earliest
        for _ in range(200):
            at = self._rng.uniform(earliest, latest)
            if self._is_up(at):
                break
        return at

    def _is_up(self, at: float) -> bool:
        wall = local(at, self._person.zone)
        return _UP <= wall.hour + wall.minute / 60 < _TO_BED

    def _small_talk(self) -> str:
        return self._rng.choice(words.GREETINGS.get(self._tongue, words.GREETINGS["en"]))

    def _act(self, at: float, kind: Kind, text: str | None = None, payload: str | None = None) -> Act:
        return Act(id="", psid=self._person.psid, at=at, kind=kind, text=text, payload=payload)

    def _add(
        self,
        at: float,
        kind: Kind,
        text: str | None = None,
        payload: str | None = None,
        *,
        intent: Literal["stop", "start"] | None = None,
    ) -> None:
        act = self._act(at, kind, text, payload)
        act.intent = intent
        self._acts.append(act)
