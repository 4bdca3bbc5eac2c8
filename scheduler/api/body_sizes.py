"""How much each address takes: bytes of a body, and values in it. In one table, which OpenAPI shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path

_KIB = 1024
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """The most that one body may have."""

    bytes: int
    #: Members of lists and objects, all together.
    values: int


#: Of every address that is not named below.
USUAL = Size(256 * _KIB, 2_000)

#: Path, as OpenAPI writes it → its size. An audience of a million ids fits.
LARGE = {
    "/api/v1/pages/{page}/campaigns": Size(24 * _MIB, 1_001_000),
    "/api/v1/pages/{page}": Size(3 * _MIB, 20_100),
    "/api/v1/pages/{page}/templates": Size(1 * _MIB, 5_500),
    "/api/v1/pages/{page}/policy": Size(512 * _KIB, 1_000),
    "/api/v1/dead-letters/redrive": Size(512 * _KIB, 11_000),
    "/api/v1/dead-letters/discard": Size(512 * _KIB, 11_000),
}
#: A file of contacts is a stream, not JSON; `limits.MAX_BODY_BYTES` is the limit.
FILES = "/api/v1/pages/{page}/imports"


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[Any, Size], ...]:
    return tuple((compile_path(path)[0], size) for path, size in LARGE.items())


def size_at(path: str) -> Size:
    """What the address takes."""
    return next((size for pattern, size in _patterns() if pattern.match(path)), USUAL)


def is_file(path: str) -> bool:
    """Whether the address takes a file."""
    return _file().match(path) is not None


@lru_cache(maxsize=1)
def _file() -> Any:
    return compile_path(FILES)[0]


def describe(app: FastAPI, largest_file: int) -> None:
    """Let the description of ``app`` say at each address how much it takes."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path, body in _bodies(described()):
                most = largest_file if path == FILES else LARGE.get(path, USUAL).bytes
                body["description"] = f"At most {most // _KIB} KiB; 413 beyond."
        return described()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending the description


def _bodies(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "requestBody" in operation:
                yield path, operation["requestBody"]
