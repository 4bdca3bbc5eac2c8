"""The webhook: where the platform tells what people did.

The signature is checked over the raw bytes before anything reads them. Everything else happens in one transaction that
is committed before the answer: what was acknowledged with 200 is in force.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from scheduler import clock, crash_points
from scheduler.doorbell import ring
from scheduler.errors import NotAuthenticated, NotPermitted, TooLarge, Unavailable
from scheduler.inbox.intake import Received, receive, receive_unreadable
from scheduler.inbox.lenient import Unreadable, read_json
from scheduler.inbox.signature import signing_app, token_known, well_formed
from scheduler.pages.registry import app_secrets, verify_tokens
from scheduler.settings import get_settings
from scheduler.store import database

router = APIRouter(prefix="/webhooks/messenger", tags=["webhook"])

_HEADER = "X-Hub-Signature-256"


@router.get("", response_class=PlainTextResponse)
def handshake(
    mode: Annotated[str | None, Query(alias="hub.mode")] = None,
    verify_token: Annotated[str | None, Query(alias="hub.verify_token")] = None,
    challenge: Annotated[str | None, Query(alias="hub.challenge", max_length=1000)] = None,
) -> PlainTextResponse:
    """Show the platform that the address is ours: its challenge comes back when it names a known verify token."""
    with database.session() as session:
        tokens = verify_tokens(session)
    if mode != "subscribe" or challenge is None or not token_known(verify_token or "", tokens):
        raise NotPermitted(
            "the verify token is not one of ours",
            field="hub.verify_token",
            way_out="enter the verify token that the page was registered with",
        )
    return PlainTextResponse(challenge)


@router.post("")
async def events(request: Request) -> dict[str, int]:
    """Take events. 200 when they are stored and in force, 401 without a good signature, 413 over the size limit.

    503 when none of the secrets that can be read signed it, and there is one that cannot.
    """
    header = request.headers.get(_HEADER)
    if not well_formed(header):
        raise _not_signed()
    body = await _body(request)
    # The database would keep the event loop from everybody else.
    received = await run_in_threadpool(_take, header, body)
    crash_points.reach("webhook.after_commit")
    if received.people:
        await run_in_threadpool(ring, "deliver", "read_profiles")
    return {"received": received.new, "known": received.known, "failed": received.failed}


def _take(header: str | None, body: bytes) -> Received:
    now = clock.now()
    with database.session() as session:
        apps = app_secrets(session)
        known = [(app, secret) for app, secret in apps.items() if secret is not None]
        app_id = signing_app(header, body, known)
        if app_id is None:
            # It may be signed with the secret that is lost: asked to come back, it is not lost with it.
            raise _not_signed() if len(known) == len(apps) else _cannot_check()
        try:
            said = read_json(body)
        except Unreadable:
            return receive_unreadable(session, app_id, body, now)
        received = receive(session, app_id, said, now)
        crash_points.reach("webhook.before_commit")
        return received


async def _body(request: Request) -> bytes:
    most = get_settings().webhook_max_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _not_signed() -> NotAuthenticated:
    return NotAuthenticated(
        "the webhook is not signed with the secret of an app that is registered here",
        field=_HEADER,
        way_out="register the page with its app's secret, and sign the raw bytes of the body",
    )


def _cannot_check() -> Unavailable:
    return Unavailable(
        "the webhook is not signed with a secret that can be read, and there is one that cannot",
        field=_HEADER,
        way_out="add the key that it was sealed with to DULY_ENCRYPTION_KEY",
    )


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {most} bytes", field="body", way_out="send fewer events at once")
