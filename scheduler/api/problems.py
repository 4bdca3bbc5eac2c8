"""Every error as an RFC 9457 problem: what is wrong, where, and the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from psycopg.errors import QueryCanceled
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from scheduler.api.addresses import methods_at
from scheduler.errors import Busy, DulyError
from scheduler.logs import get_logger
from scheduler.own_trouble import own_trouble

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

#: What to do about a kind of validation error, where its message does not say it.
_WAYS_OUT = {
    "missing": "add the field",
    "extra_forbidden": "leave it out; /openapi.json lists the fields",
    "json_invalid": "send valid JSON in UTF-8",
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "string_type": "give a string in quotes",
    "string_unicode": "give text that is valid Unicode",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "list_type": "give a list in brackets",
    "dict_type": "give an object in braces",
    "model_attributes_type": "give an object in braces",
    "string_too_long": "shorten it",
    "string_too_short": "give at least one character",
    "string_pattern_mismatch": "see the field in /openapi.json",
    "too_long": "send fewer at once",
}


#: What the patterns of fields say, by how they begin: (what is wrong, the way out).
_PATTERNS = {
    r"^[A-Za-z0-9_:-][A-Za-z0-9_.:-]": (
        "is not an id: an id is up to 128 letters, digits and _ . : - without blanks",
        "give the id as the platform gave it: plain digits, like 7000000000000001",
    ),
    r"^\d": ("is not a cursor", "leave it out, or give the `next_cursor` of the answer before"),
    r"^[^\x00]": ("has nothing in it, or a character that cannot be stored", "give ordinary text"),
    r"^[\x21-\x7e]": ("has blanks, or characters that are not ASCII", "copy it whole, without spaces"),
    r"^[0-9a-f]": ("is not a hash", "give hexadecimal digits, 0 to 9 and a to f"),
}

#: A member of a union, which stands among the parts of a place like a field: `str`, `list[str]`.
_TYPE = re.compile(r"str|int|float|bool|(list|dict)\[.*\]")


#: Errors that one answer names, and characters of one, of its place and of what an answer says: what is wrong may be
#: all of a large body.
MOST_ERRORS = 20
#: Errors that are put into words, to find those of one place; the others are only counted.
_LOOKED_AT = 500
_LONGEST_WORDS, _LONGEST_FIELD = 1_000, 200


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str | None]] = (),
    others: int = 0,
    way_out: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer for an error. ``code`` never changes for a kind of error; ``detail`` is for people.

    ``others`` are errors beside ``errors``, which are counted and not named.
    """
    body: dict[str, Any] = {
        "type": f"urn:duly:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _cut(detail, _LONGEST_WORDS + _LONGEST_FIELD),
        "code": code,
    }
    if way_out:
        body["way_out"] = _cut(way_out, _LONGEST_WORDS)
    body["errors"] = [
        {name: _cut(each, _LONGEST_FIELD if name == "field" else _LONGEST_WORDS) for name, each in error.items()}
        for error in errors[:MOST_ERRORS]
    ]
    hidden = max(0, len(errors) - MOST_ERRORS) + others
    if hidden:
        body["more_errors"] = hidden
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _cut(words: str | None, most: int) -> str | None:
    return words if words is None or len(words) <= most else words[: most - 1] + "…"


def install(app: FastAPI) -> None:
    """Let ``app`` answer every error with a problem."""
    app.add_exception_handler(DulyError, _duly_error)
    app.add_exception_handler(RequestValidationError, _bad_input)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DataError, _cannot_store)
    app.add_exception_handler(IntegrityError, _conflict)
    for kind in (OperationalError, InterfaceError, InternalError, PoolTimeout):
        app.add_exception_handler(kind, _try_again)
    for short in (OSError, MemoryError):
        app.add_exception_handler(short, _out_of_means)
    app.add_exception_handler(Exception, _unexpected)


def answer_for(error: DulyError) -> JSONResponse:
    """The answer for an error of ours."""
    if error.status >= 500 and not isinstance(error, Busy):
        log.error("request_failed", code=error.code, error=str(error))
    errors = [{"field": error.field, "message": error.message, "way_out": error.way_out}] if error.field else []
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    # Read alone, "is in the future" tells nobody what is: the place belongs to the sentence, as on the command line.
    detail = f"{error.field}: {error.message}" if error.field else error.message
    return problem(error.status, error.code, detail, errors=errors, way_out=error.way_out, headers=headers)


async def answer_to(request: Request, error: Exception) -> Response:
    """The answer for any error, for whoever serves outside of the routes."""
    handlers = request.app.exception_handlers
    answer: Response = await next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)(request, error)
    return answer


async def _duly_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DulyError)
    return answer_for(error)


async def _bad_input(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    everything = error.errors()
    found, others = everything[:_LOOKED_AT], max(0, len(everything) - _LOOKED_AT)
    unreadable = any(each["type"] == "json_invalid" for each in found)
    # One error a place: a value that may be of several types fails as each of them.
    errors = list({each["field"]: each for each in reversed([_words(each) for each in found])}.values())[::-1]
    first = errors[0]
    count = len(errors) + others
    more = f" (and {count - 1:,} more)" if count > 1 else ""
    return problem(
        400 if unreadable else 422,
        "malformed" if unreadable else "invalid",
        f"{first['field']}: {first['message']}{more}",
        errors=errors,
        others=others,
        way_out=first["way_out"],
    )


def _words(error: Mapping[str, Any]) -> dict[str, str]:
    kind, context = str(error["type"]), error.get("ctx", {})
    # The first part says where it came from; only a body that could not be read has nothing else.
    place = [str(part) for part in error["loc"]]
    if kind == "json_invalid":
        return {
            "field": "body",
            "message": f"is not valid JSON at character {place[-1] if len(place) > 1 else 0}",
            "way_out": _WAYS_OUT[kind],
        }
    field = ".".join(part for part in place[1:] if not _TYPE.fullmatch(part)) or place[0]
    message = str(error["msg"])
    if kind == "value_error":
        message = str(context.get("error", message))
    elif kind == "string_pattern_mismatch":
        for begins, (words, way_out) in _PATTERNS.items():
            if str(context.get("pattern", "")).startswith(begins):
                return {"field": field, "message": words, "way_out": way_out}
        message = "does not have the form that it needs"
    elif kind == "missing" and place == ["body"]:
        return {"field": "body", "message": "is empty", "way_out": "send a JSON object, as application/json"}
    elif kind == "model_attributes_type" and place == ["body"]:
        return {"field": "body", "message": "is not a JSON object", "way_out": "send an object, as application/json"}
    elif kind in ("literal_error", "enum"):
        message = "is not one of the values it may have"
        return {"field": field, "message": message, "way_out": f"use {context.get('expected', 'a listed value')}"}
    message = message[:1].lower() + message[1:]
    message = message.removeprefix("value error, ")
    return {"field": field, "message": message, "way_out": _WAYS_OUT.get(kind, "correct it as the message says")}


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(
            404,
            "not_found",
            "nothing is at this address",
            way_out="/docs shows the addresses, /openapi.json lists them",
        )
    if error.status_code == 405:
        # In a thread: the first time, the whole description is made for it.
        allowed = ", ".join(await run_in_threadpool(methods_at, request.app, request.url.path))
        return problem(
            405,
            "method_not_allowed",
            f"this address does not take {request.method}",
            way_out=f"use {allowed}" if allowed else "/openapi.json lists what it takes",
            headers={"Allow": allowed} if allowed else error.headers,
        )
    if error.status_code == 400:
        words = {"field": "body", "message": "could not be read", "way_out": _WAYS_OUT["json_invalid"]}
        return problem(400, "malformed", "the body could not be read", errors=[words], way_out=words["way_out"])
    if error.status_code == 413:
        return problem(413, "too_large", str(error.detail), way_out="send less at once")
    return problem(error.status_code, "error", str(error.detail), headers=error.headers)


async def _cannot_store(_request: Request, error: Exception) -> JSONResponse:
    # A value that passed every check and that the database cannot hold: too large a number, a NUL in a path.
    log.warning("value_not_storable", kind=type(getattr(error, "orig", error)).__name__)
    return problem(422, "invalid", "a value cannot be stored", way_out="use ordinary text and smaller numbers")


async def _conflict(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IntegrityError)
    state = getattr(error.orig, "sqlstate", None)
    if state != "23505":
        return await _unexpected(_request, error)
    return problem(409, "conflict", "somebody else stored the same at this moment", way_out="read it, then try again")


async def _try_again(_request: Request, error: Exception) -> JSONResponse:
    cause = getattr(error, "orig", error)
    log.error("database_unavailable", kind=type(cause).__name__)
    detail, way_out = "the database did not answer in time", "try again"
    if isinstance(cause, QueryCanceled):
        way_out = "ask for less at once (a page, a campaign, a shorter time), or try again"
    return problem(503, "unavailable", detail, way_out=way_out, headers={"Retry-After": "1"})


async def _out_of_means(_request: Request, error: Exception) -> JSONResponse:
    # Not the caller's fault: the platform delivers a webhook again, and nothing of it is booked as failed.
    log.error("process_short_of_means", exc_info=error)
    return problem(
        503, "unavailable", "this process is short of memory, files or disk", way_out="try again",
        headers={"Retry-After": "1"},
    )  # fmt: skip


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    if own_trouble(error):
        return await _out_of_means(_request, error)
    log.error("request_crashed", exc_info=error)
    return problem(500, "error", "something went wrong inside Duly", way_out="try again; the log says what happened")
