"""Every room's tables in one place, for migrations and for the test that holds the two together."""

from __future__ import annotations

import importlib

from sqlalchemy import MetaData
from sqlmodel import SQLModel

#: The rooms that own tables.
ROOMS = (
    "access",
    "audit",
    "campaigns",
    "consent",
    "contacts",
    "content",
    "followups",
    "governance",
    "imports",
    "inbox",
    "lineage",
    "outbox",
    "pages",
    "privacy",
)


def metadata() -> MetaData:
    """The tables of all rooms. Rooms are imported by name: the store lies below them and knows no verb of theirs."""
    for room in ROOMS:
        importlib.import_module(f"scheduler.{room}.tables")
    return SQLModel.metadata
