"""The one message that confirms an opt-out: where the law allows it, in the page's own words, at once or never.

Planned once for each opt-out by text that took something away, in the transaction that records it. Policy decides it as
any other message (the window, a block, a handover, a kill switch), and lets it past the opt-out alone. No trouble with
it may stand in the way of the opt-out itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from policies.confirmation import WITHIN
from policies.opt_out_law import opt_out_laws
from scheduler.consent.ledger import Entry
from scheduler.errors import DulyError
from scheduler.logs import get_logger
from scheduler.outbox.confirmations import call_off as call_off_messages
from scheduler.outbox.plan import Wish, decide_wish, store_planned
from scheduler.store.direct import fetch

_log = get_logger(__name__)

_SETTINGS = text("""
    SELECT c.id, c.page_id, c.timezones, c.country, c.region, t.id AS template_id
    FROM contact c JOIN consent_setting s ON s.page_id = c.page_id
    JOIN LATERAL (
        SELECT id, category FROM template WHERE page_id = s.page_id AND name = s.confirmation_template
        ORDER BY version DESC LIMIT 1
    ) t ON t.category = 'service'
    WHERE c.id = ANY(:ids)
""")


def confirm(session: Session, opt_outs: Mapping[int, Entry], now: int) -> int:
    """Plan the confirmations of these new opt-outs (id in the ledger → row); returns how many were planned.

    None for one by a button, by the platform's control or by somebody else, where the page has no template for it,
    where a law of the person's place forbids it or none is known to allow it, or later than that.
    """
    wanted = {
        entry.contact_id: (id_, entry)
        for id_, entry in opt_outs.items()
        if entry.source == "message" and entry.topic is None
    }
    wishes = list(_wishes(session, wanted, now)) if wanted else []
    if not wishes:
        return 0
    planned = 0
    try:
        with session.begin_nested():
            # Without ``hold_wakes``, which must not be waited for with rows locked: one that is parked just as
            # somebody lets messages go on sleeps to its end, minutes away.
            for wish, records in wishes:
                for decided in decide_wish(session, wish, sorted(records), now):
                    own = replace(wish, confirms_record_id=records[decided.contact_id])
                    store_planned(session, own, [decided], now)
                    planned += 1
    except (DulyError, SQLAlchemyError) as error:
        _log.warning("opt_out_not_confirmed", error=type(error).__name__)
        return 0
    return planned


def call_off(session: Session, contact_ids: Collection[int], now: int, *, actor: str | None) -> None:
    """Whoever is back wants no confirmation that they left: take back what has not been sent of them."""
    call_off_messages(session, contact_ids, actor=actor, now=now)


def _wishes(
    session: Session, wanted: Mapping[int, tuple[int, Entry]], now: int
) -> Iterator[tuple[Wish, dict[int, int]]]:
    """A wish for each page and instant, and contact → the opt-out of theirs; decided together, kept one by one."""
    groups: dict[tuple[int, int, int], dict[int, int]] = defaultdict(dict)
    for row in fetch(session, _SETTINGS, {"ids": sorted(wanted)}):
        laws = opt_out_laws(row.timezones, row.country, row.region)
        if laws and all(law.confirmation for law in laws):
            record_id, entry = wanted[row.id]
            within = min([law.confirmation_within for law in laws if law.confirmation_within is not None] + [WITHIN])
            if (ends := entry.occurred_at + within) > now:
                groups[row.page_id, row.template_id, ends][row.id] = record_id
    for (page_id, template_id, expires_at), records in sorted(groups.items()):
        first = next(iter(records.values()))
        wish = Wish(
            page_id=page_id, template_id=template_id, category="service", expires_at=expires_at,
            confirms_record_id=first,
        )  # fmt: skip
        yield wish, records
