"""JSON bodies are read strictly, and looked at before they are read: how large, how deep, how many values.

What Python's reader takes and no other does is refused, with its place: numbers without end, NaN, a name twice, other
encodings. Nothing here depends on what an address does with its body.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.body_sizes import Size, is_file, size_at
from scheduler.api.problems import answer_to
from scheduler.errors import Malformed, TooLarge

_API = "/api/"
#: Levels of lists and objects in one another: no address has more than a handful.
DEEPEST = 32
#: Lists and objects in a body: each takes far more memory than the two bytes that write it.
MOST_CONTAINERS = 5_000
#: Members of one object.
MOST_MEMBERS = 2_000
#: Digits of a number.
MOST_DIGITS = 40
#: A body of so many bytes is read while no other such is: reading megabytes holds up every other request.
LARGE = 1024 * 1024

_WAY_OUT = "send valid JSON in UTF-8"
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


def check_json(raw: bytes, size: Size) -> None:
    """Raise Malformed, or TooLarge, naming the place, where ``raw`` is not JSON that an address should read."""
    _check_shape(raw, size)
    try:
        written = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"byte {error.start + 1} is not UTF-8") from None
    if "\x00" in written:
        raise _malformed("has a NUL: is it UTF-8?")
    try:
        _DECODER.decode(written)
    except json.JSONDecodeError as error:
        raise _malformed(f"is not valid JSON at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None


def _check_shape(raw: bytes, size: Size) -> None:
    opened, commas = raw.count(b"{") + raw.count(b"["), raw.count(b",")
    if opened <= DEEPEST and commas < size.values:
        return
    # Commas and brackets inside of strings are text and do not count.
    bare = _STRINGS.sub(b"", raw)
    if bare.count(b",") >= size.values:
        raise TooLarge(f"has more than {size.values} values", field="body", way_out="send less at once")
    if bare.count(b"{") + bare.count(b"[") > MOST_CONTAINERS:
        raise TooLarge(f"has more than {MOST_CONTAINERS} lists and objects", field="body", way_out="send less at once")
    depth = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            raise _too_deep()


def _too_deep() -> Malformed:
    return _malformed(f"has more than {DEEPEST} lists and objects in one another")


def _malformed(words: str) -> Malformed:
    return Malformed(words, field="body", way_out=_WAY_OUT)


def _whole(written: str) -> int:
    if len(written) > MOST_DIGITS:
        raise _malformed(f"has a number of {len(written)} digits, `{written[:12]}…`")
    return int(written)


def _fraction(written: str) -> float:
    number = float(written) if len(written) <= 10 * MOST_DIGITS else math.inf
    if not math.isfinite(number):
        raise _malformed(f"has a number that is too large or too long, `{written[:12]}`")
    return number


def _constant(name: str) -> NoReturn:
    raise _malformed(f"has {name}, which is not JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_MEMBERS:
        raise TooLarge(f"has an object of {len(pairs)} members", field="body", way_out=f"use {MOST_MEMBERS} at most")
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        shown = twice[:64].encode("ascii", "backslashreplace").decode()
        raise Malformed(f"has `{shown}` twice in one object", field="body", way_out="say it once")
    return found


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_pairs)


class StrictJson:
    """ASGI middleware: reads the body of a request to the REST API, and refuses what ``check_json`` does.

    A body over the size of its address is refused with 413, whether or not its length was announced. Files pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = str(scope["path"]) if scope["type"] == "http" else ""
        if not path.startswith(_API) or scope["method"] in ("GET", "HEAD", "OPTIONS") or is_file(path):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            size = size_at(path)
            async with _body(headers.get("content-length", ""), receive, size, scope["app"].state.large_bodies) as body:
                if body and _is_json(headers.get("content-type")):
                    if len(body) < LARGE:
                        check_json(body, size)
                    else:
                        await run_in_threadpool(check_json, body, size)
                await self._app(scope, _again(body, receive), send)
        except ClientDisconnect:
            # Whoever hung up before the end has said nothing, and hears nothing.
            return
        except _Refused as refused:
            await (await answer_to(Request(scope), refused.error))(scope, receive, send)
        except (Malformed, TooLarge) as error:
            await (await answer_to(Request(scope), error))(scope, receive, send)


class _Refused(Exception):
    """What reading the body was refused for, by whoever stands outside of this."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@contextlib.asynccontextmanager
async def _body(length: str, receive: Receive, size: Size, turn: asyncio.Semaphore) -> AsyncIterator[bytes]:
    """The whole body; of large ones there is one at a time. Raises TooLarge, ClientDisconnect, _Refused."""
    if length.isdecimal() and int(length[:20]) > size.bytes:
        raise _too_large(size)
    parts: list[bytes] = []
    taken, more, held = 0, True, False
    try:
        while more:
            if taken >= LARGE and not held:
                await turn.acquire()
                held = True
            try:
                message = await receive()
            except Exception as error:
                raise _Refused(error) from error
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            taken += len(parts[-1])
            if taken > size.bytes:
                raise _too_large(size)
            more = bool(message.get("more_body", False))
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        yield body
    finally:
        if held:
            turn.release()


def _too_large(size: Size) -> TooLarge:
    return TooLarge(f"the body is over the limit of {size.bytes} bytes", way_out="send less at once")


def _is_json(content_type: str | None) -> bool:
    # What comes without a type is read as bytes, and refused as such.
    if not content_type:
        return False
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, once, and then what comes after it."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed
