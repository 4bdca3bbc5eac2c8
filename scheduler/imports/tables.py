"""Tables of the imports room. Instants are epoch seconds UTC on Duly's clock."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class ContactImport(SQLModel, table=True):
    """One file of contacts on its way in. Its row lock says who is validating or applying it."""

    __tablename__ = "contact_import"
    __table_args__ = (
        Index("contact_import_page", "page_id", "id"),
        #: What a worker has to go on with: few among many.
        Index("contact_import_open", "id", postgresql_where=text("status IN ('validating', 'applying')")),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    page_id: int = Field(foreign_key="page.id")
    #: What the person calls the file; nobody opens it by this.
    name: str
    #: SHA-256 of the file, to tell whether two imports were the same.
    digest: str
    #: ``uploaded`` | ``validating`` | ``validated`` | ``applying`` | ``applied`` | ``failed`` |
    #: ``discarded``.
    status: str
    headers: list[str] = Field(sa_column=Column(JSONB, nullable=False))
    #: column → field, and field → what it is in every row.
    mapping: dict[str, str] = Field(sa_column=Column(JSONB, nullable=False))
    constants: dict[str, str] = Field(sa_column=Column(JSONB, nullable=False))
    #: Rows in the file; rows looked at; rows with an error. Rows are counted from 1.
    row_count: int
    checked: int = Field(default=0)
    bad: int = Field(default=0)
    #: The last row of which it is decided what became of it: what is committed is never done twice.
    cursor: int = Field(default=0)
    skip_errors: bool = Field(default=False)
    #: A bad cell of a column that a row can do without is left out instead of the row.
    skip_cells: bool = Field(default=False)
    #: Columns that seem to say who wants no messages, and columns that a person left out by name.
    suspects: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    ignored: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    #: What was done: created, updated, refused, opt_outs, consents, links.
    counts: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    actor: str
    request_id: str | None = None
    created_at: int = Field(sa_type=BigInteger)
    validated_at: int | None = Field(default=None, sa_type=BigInteger)
    applied_at: int | None = Field(default=None, sa_type=BigInteger)


class ImportRow(SQLModel, table=True):
    """One row of a file as it came. Deleted when the import ends: it holds what people are called."""

    __tablename__ = "contact_import_row"

    #: No foreign keys in staging: a check a row would cost as much as the copy.
    import_id: int = Field(sa_type=BigInteger, primary_key=True)
    n: int = Field(primary_key=True)
    #: The line of the file that it begins on.
    line: int
    cells: list[str] = Field(sa_column=Column(JSON, nullable=False))


class ImportPerson(SQLModel, table=True):
    """One row that passed every check, as it will be applied. Deleted when the import ends."""

    __tablename__ = "contact_import_person"

    import_id: int = Field(sa_type=BigInteger, primary_key=True)
    n: int = Field(primary_key=True)
    line: int
    psid: str
    known: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class RowError(SQLModel, table=True):
    """One thing that is wrong with a row, for the file of errors. Values of people are masked."""

    __tablename__ = "contact_import_error"
    __table_args__ = (Index("contact_import_error_row", "import_id", "n"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    import_id: int = Field(sa_type=BigInteger)
    n: int
    line: int
    #: The column's header, and the field it was mapped to.
    column_name: str | None = None
    field: str | None = None
    value: str | None = None
    problem: str
    allowed: str
    #: ``error``: the row is not applied. ``dropped``: it is, without the cell. ``warning``: it is, as it stands.
    severity: str = "error"
