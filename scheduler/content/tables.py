"""Tables of the content room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import BigInteger, Column, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class Template(SQLModel, table=True):
    """Content in locales, with Liquid variables. A saved template never changes: editing makes a new version."""

    __tablename__ = "template"
    __table_args__ = (UniqueConstraint("page_id", "name", "version"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    name: str
    version: int = Field(default=1)
    #: ``promotional`` | ``utility`` | ``service``.
    category: str
    topic: str | None = None
    default_locale: str
    #: Locale → {"text": Liquid source}; a utility template may add {"parameters": {name: Liquid source}}.
    bodies: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    #: The name of the platform-approved utility template this content goes out as, if any.
    utility_name: str | None = None
    utility_approved: bool = Field(default=False)
    created_at: int = Field(sa_type=BigInteger)


class UtilityStatus(SQLModel, table=True):
    """What the platform last said of a utility template of a page in one language."""

    __tablename__ = "utility_status"

    page_id: int = Field(foreign_key="page.id", primary_key=True)
    #: The template's name on the platform.
    name: str = Field(primary_key=True)
    language: str = Field(primary_key=True)
    #: ``approved`` | ``rejected`` | … as the platform calls it, in lower case.
    status: str
    reason: str | None = None
    #: The platform's instant of it, milliseconds.
    at_ms: int = Field(sa_type=BigInteger)
