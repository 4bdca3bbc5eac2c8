"""Kill switches: while one is engaged, nothing in its scope begins. What is on the wire stays on the wire.

Engaging one touches no message: each is parked when its time comes. Releasing it wakes what was parked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from policies.facts import CATEGORIES
from scheduler.audit.record import record
from scheduler.errors import Conflict, Invalid, NotFound
from scheduler.governance.tables import KillSwitch
from scheduler.outbox.wake import wait_for_deciders, wake_parked

_WAY_OUT = "`duly ops switches` or GET /api/v1/kill-switch lists those engaged"


@dataclass(slots=True, frozen=True, kw_only=True)
class Scope:
    """What a switch stops; None does not narrow it, all None is everything."""

    page_id: int | None = None
    campaign_id: int | None = None
    category: str | None = None

    def check(self) -> None:
        """Raise Invalid naming the field where the parts make no sense, alone or together."""
        if self.category is not None and self.category not in CATEGORIES:
            raise Invalid(
                f"`{self.category}` is not a category", field="category", way_out=f"use one of {', '.join(CATEGORIES)}"
            )
        if self.campaign_id is not None and (self.page_id is not None or self.category is not None):
            raise Invalid(
                "a campaign has one page and one category", field="campaign", way_out="name the campaign alone"
            )

    def __str__(self) -> str:
        if self.campaign_id is not None:
            return f"campaign {self.campaign_id}"
        what = f"all {self.category} messages" if self.category is not None else "everything"
        return what if self.page_id is None else f"{what} of page {self.page_id}"


def check_words(actor: str, why: str) -> None:
    """Raise Invalid where nobody says who stops something, or why."""
    if not actor.strip() or "\x00" in actor:
        raise Invalid("who does it must be named", field="as", way_out="give the name of a person or a key")
    if not why.strip() or len(why) > 500 or "\x00" in why:
        raise Invalid("a reason is needed", field="why", way_out="say in 1 to 500 characters why it stops")


def engage(session: Session, scope: Scope, *, actor: str, why: str, now: int) -> KillSwitch:
    """Stop what is in ``scope`` until the switch is released. In force when the caller commits.

    The same person engaging the same again, for the same reason, gets the switch that is engaged: a double click.
    """
    check_words(actor, why)
    scope.check()
    wait_for_deciders(session)
    for other in engaged(session):
        if (scope_of(other), other.actor, other.why) == (scope, actor, why):
            return other
    switch = KillSwitch(**asdict(scope), actor=actor, why=why, engaged_at=now)
    session.add(switch)
    session.flush()
    _record(session, switch, "engage", actor, now, why=why)
    return switch


def release(session: Session, switch_id: int, *, actor: str, now: int) -> KillSwitch:
    """Let messages go again, where nothing else stops them: what was parked is decided anew.

    Raises NotFound, or Conflict when it was released before.
    """
    found = session.exec(
        select(KillSwitch)
        .where(KillSwitch.id == switch_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound(f"there is no kill switch {switch_id}", way_out=_WAY_OUT)
    if found.released_at is not None:
        raise Conflict(f"kill switch {switch_id} was released before", way_out=_WAY_OUT)
    found.released_at = now
    session.add(found)
    _record(session, found, "release", actor, now)
    session.flush()
    wake_parked(session, now, **asdict(scope_of(found)))
    return found


def engaged(session: Session) -> list[KillSwitch]:
    """The switches that are engaged, oldest first."""
    return list(
        session.exec(select(KillSwitch).where(col(KillSwitch.released_at).is_(None)).order_by(col(KillSwitch.id))).all()
    )


def scope_of(switch: KillSwitch) -> Scope:
    """What the switch stops."""
    return Scope(page_id=switch.page_id, campaign_id=switch.campaign_id, category=switch.category)


def _record(session: Session, switch: KillSwitch, act: str, actor: str, now: int, **more: Any) -> None:
    record(
        session,
        actor=actor,
        action=f"kill_switch.{act}",
        subject=f"kill_switch:{switch.id}",
        detail={**asdict(scope_of(switch)), **more},
        now=now,
    )
