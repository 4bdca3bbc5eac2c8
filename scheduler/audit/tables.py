"""Tables of the audit room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class AuditEntry(SQLModel, table=True):
    """One act of a person or a key. Append-only."""

    __tablename__ = "audit_entry"
    #: All that was done to something.
    __table_args__ = (Index("audit_entry_subject", "subject", "id"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    at: int = Field(sa_type=BigInteger)
    actor: str
    #: Dotted verb, ``campaign.launch``.
    action: str
    #: What it was done to, ``campaign:7``.
    subject: str
    detail: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
