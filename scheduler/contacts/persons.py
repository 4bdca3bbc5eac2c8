"""Who is who: an address that was merged, and the contact that stands for its person from then on."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from scheduler.contacts.lock import held, lock_contacts
from scheduler.contacts.registry import follow


def lock_persons(session: Session, contact_ids: Collection[int]) -> dict[int, int]:
    """Lock these contacts and whoever stands for them, until the transaction ends.

    Returns contact id → survivor's id, of those alone that were merged: what speaks of the person is theirs. Facts must
    be read in a later statement than this.
    """
    wanted = set(contact_ids)
    survivors = follow(session, wanted)
    before = set(survivors.values())
    if held(session, wanted | before):
        # Nobody has merged them since they were locked.
        return survivors
    # All at once, so that they are locked in the one order of everybody.
    lock_contacts(session, wanted | before)
    # A merge that came in between held the address; none can come from here on.
    survivors = follow(session, wanted)
    lock_contacts(session, set(survivors.values()) - before - wanted)
    return survivors
