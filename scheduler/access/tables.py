"""Tables of the access room. Instants are epoch seconds UTC on Duly's clock."""

from sqlalchemy import BigInteger, Column, LargeBinary
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
