"""Gauges of a scrape: read from PostgreSQL and Redis when Prometheus asks, by cheap queries alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from scheduler import clock
from scheduler.access.security import security_events
from scheduler.api.stalls import stalls
from scheduler.errors import DulyError
from scheduler.facts import ops
from scheduler.facts.health import beat_ages
from scheduler.governance import switches
from scheduler.inbox.troubles import troubles
from scheduler.lineage.identity import held_words
from scheduler.outbox.skews import skews
from scheduler.pages.deaf import SETTLED
from scheduler.privacy.retention import retention_marks
from scheduler.store import database
from scheduler.throttle_state import BREAKER_STATES, throttle_states

#: Real seconds that a count may take, and over which the pace is measured.
_PATIENCE = 0.1
_PACE = 10


def gauges(now: int) -> list[Metric]:
    """What stands at ``now``, epoch seconds. A database that does not answer is a gauge too."""
    try:
        with database.session("health") as session:
            found = _of_database(session, now)
    except (DulyError, SQLAlchemyError):
        return [_one("duly_database_up", "Whether PostgreSQL answers.", 0)]
    return [*found, _one("duly_database_up", "Whether PostgreSQL answers.", 1)]


def _of_database(session: Session, now: int) -> list[Metric]:
    counted = ops.open_counts(session, patience=_PATIENCE)
    oldest = ops.oldest_due(session, patience=_PATIENCE)
    pace = ops.pace(session, now - clock.real_seconds(_PACE))
    pages = ops.pages(session)
    deaf = {page.page for page in ops.deaf_pages(session, now, now - clock.real_seconds(SETTLED))}
    marks = retention_marks(session)
    states = throttle_states([page.id for page in pages])
    still = {each.page for each in stalls(session, oldest, states, now)}
    waits = ops.by_lane(oldest)
    found = [
        _many(
            "duly_messages", "Messages that are not at their end.", ("state", "lane"),
            {(state, lane): counted.of.get((state, lane), 0) for state in ops.OPEN_STATES for lane in ops.LANES},
        ),
        _one("duly_messages_estimated", "1: duly_messages are estimates, for there are many.", not counted.exact),
        _many("duly_dead_letters", "Dead letters that nobody has dealt with.", ("state",),
              {(state,): number for state, number in
               (dict.fromkeys(ops.DEAD_STATES, 0) | ops.dead_letter_counts(session)).items()}),
        _many("duly_due_oldest_seconds", "How long the oldest due message of a lane has been due.", ("lane",),
              {(lane,): max(0, now - waits[lane]) if lane in waits else 0 for lane in ops.LANES}),
        _many("duly_beat_age_seconds", "Since a periodic task last ran.", ("task",),
              {(task,): age for task, age in beat_ages(session, now).items()}),
        _many("duly_page_stopped", "1: the platform refuses the page as a whole.", ("page",),
              {(page.external_id,): page.stopped_at is not None for page in pages}),
        _many("duly_page_stalled", "1: messages of the page could go, and are not begun.", ("page",),
              {(page.external_id,): page.external_id in still for page in pages}),
        _many("duly_page_deaf", "1: the page sends and has received nothing since.", ("page",),
              {(page.external_id,): page.external_id in deaf for page in pages}),
        _counted("duly_retention_pruned", "Rows that retention deleted.", ("kind",),
                 {(name,): mark.pruned for name, mark in marks.items()}),
        _many("duly_retention_age_seconds", "Since retention last looked at a kind of rows.", ("kind",),
              {(name,): now - mark.ran_at for name, mark in marks.items()}),
        _counted("duly_webhook_troubles", "Webhooks refused or not understood; no page: of none that is registered.",
                ("page", "reason"), {(each.page or "", each.reason): each.total for each in troubles(session, now)}),
        _counted("duly_security_events", "What somebody tried who may not, or took more of than there is for one.",
                 ("kind",), {(each.kind,): each.total for each in security_events(session, now)}),
        _one("duly_waking", "Orders to decide waiting messages anew, at work.", len(ops.waking(session))),
        _many("duly_clock_ahead_seconds", "By which a process's clock is wrong, that stopped for it.", ("host",),
              {(skew.host,): skew.ahead for skew in skews(session)}),
        _one("duly_database_held", "1: the database was restored, and nothing is sent.", len(held_words(session))),
        _one("duly_kill_switches", "Kill switches that are engaged.", len(switches.engaged(session))),
        _one("duly_out_per_second", "Attempts begun a real second, over ten.", pace.begun / _PACE),
        _one("duly_in_per_second", "Platform events received a real second, over ten.", pace.received / _PACE),
        _one("duly_redis_up", "Whether Redis answers.", states is not None),
    ]  # fmt: skip
    if states is not None:
        names = {page.id: page.external_id for page in pages}
        found += [
            _many("duly_breaker_state", "0 closed, 1 half open, 2 open.", ("page",),
                  {(names[page],): BREAKER_STATES.index(state.breaker) for page, state in states.items()}),
            _many("duly_page_throttled_seconds", "For how long the platform wants nothing from the page.", ("page",),
                  {(names[page],): state.closed_for for page, state in states.items()}),
        ]  # fmt: skip
    return found


def _one(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counted(name: str, words: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    """A counter that the database keeps: its name ends in ``_total``."""
    family = CounterMetricFamily(name, words, labels=list(labels))
    for given, value in values.items():
        family.add_metric(given, float(value))
    return family


def _many(name: str, words: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=list(labels))
    for given, value in values.items():
        family.add_metric(given, float(value))
    return family
