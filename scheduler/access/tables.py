"""Tables of the access room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class ApiKey(SQLModel, table=True):
    """A key to the REST API. Only its SHA-256 is kept: 256 random bits need no slower hash."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    #: The first characters, so that a person can tell keys apart.
    prefix: str
    sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    created_at: int = Field(sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class ApiAnswer(SQLModel, table=True):
    """What a request with an ``Idempotency-Key`` was answered: sent again, it gets the same and does nothing."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("actor", "idempotency_key"),)

    id: int | None = Field(default=None, sa_type=BigInteger, primary_key=True)
    #: The API key's name: each has keys of its own.
    actor: str
    idempotency_key: str
    #: SHA-256 of method, address and body.
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: None until the answer is known, and where it was not kept: too large, or about somebody who was erased.
    status: int | None = None
    body: str | None = None
    created_at: int = Field(sa_type=BigInteger)


class SecurityEvent(SQLModel, table=True):
    """How often somebody tried what they may not, by kind."""

    __tablename__ = "security_event"

    kind: str = Field(primary_key=True)
    #: 0: ever. Else the beginning of the span that is counted.
    at: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    many: int = Field(sa_type=BigInteger)
    #: The address that most of them came from; empty where `at` is 0: addresses are kept for an hour.
    source: str
    last_at: int = Field(sa_type=BigInteger)
