"""The webhook: where the platform tells what people did.

The signature is checked over the raw bytes before anything reads them. Everything else happens in one transaction that
is committed before the answer: what was acknowledged with 200 is in force.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.datastructures import State
from starlette.types import Receive, Scope

from scheduler.api.handshake import VerifyTokens
from scheduler.api.security_events import seen
from scheduler.api.sources import source_of
from scheduler.api.webhook_bodies import Bodies, BodyTooLarge, beginning
from scheduler.api.webhook_groups import Groups
from scheduler.api.webhook_signers import SecretLost, Signers, not_signed
from scheduler.api.webhook_troubles import Troubles
from scheduler.errors import NotAuthenticated, NotPermitted
from scheduler.inbox.signature import well_formed
from scheduler.logs import request_id

router = APIRouter(prefix="/webhooks/messenger", tags=["webhook"])

#: The header with the signature.
SIGNATURE = "X-Hub-Signature-256"


class ReceivedView(BaseModel):
    """What became of a webhook's events."""

    received: int = Field(description="New ones, all of them stored; applied, but for `failed`.")
    known: int = Field(description="Copies of what was received before.")
    failed: int = Field(description="Kept, and not applied: a person looks at `/api/v1/failed-events`.")


@router.get("", response_class=PlainTextResponse)
async def handshake(
    request: Request,
    mode: Annotated[str | None, Query(alias="hub.mode")] = None,
    verify_token: Annotated[str | None, Query(alias="hub.verify_token")] = None,
    challenge: Annotated[str | None, Query(alias="hub.challenge", max_length=1000)] = None,
) -> PlainTextResponse:
    """Show the platform that the address is ours: its challenge comes back when it names a known verify token."""
    if mode != "subscribe" or challenge is None:
        raise NotPermitted(
            "this is no handshake",
            field="hub.mode",
            way_out="send hub.mode=subscribe, hub.verify_token and hub.challenge",
        )
    tokens: VerifyTokens = request.app.state.verify_tokens
    await tokens.check(verify_token or "", source_of(request.scope))
    return PlainTextResponse(challenge)


@router.post("", response_model=ReceivedView)
async def events(request: Request) -> Response:
    """Take events. 200 when they are stored and in force, 401 without a good signature, 413 over the size limit.

    503 when none of the secrets that can be read signed it, and there is one that cannot.
    """
    headers = request.headers
    answer = await take(
        headers.get(SIGNATURE), headers.get("content-length"), request.receive, request.app.state, request_id(),
        request.scope,
    )  # fmt: skip
    return Response(answer, media_type="application/json")


async def take(
    signature: str | None,
    length: str | None,
    receive: Receive,
    state: State,
    request_id: str | None,
    scope: Scope,
) -> bytes:
    """Take the events of a request: see ``events``; returns the body of the answer. Raises what it is refused for.

    ``signature`` and ``length`` are what its headers say, ``state`` is the application's, ``scope`` the request's.
    Raises ClientDisconnect where whoever sends it hangs up before its end.
    """
    troubles: Troubles = state.webhook_troubles
    if not well_formed(signature):
        seen("wrong_signature", source_of(scope))
        troubles.refused("unsigned", await beginning(receive))
        raise not_signed(SIGNATURE)
    bodies: Bodies = state.webhook_bodies
    signers: Signers = state.webhook_signers
    groups: Groups = state.webhook_groups
    try:
        body = await bodies.read(length, receive)
    except BodyTooLarge as error:
        troubles.refused("too_large", error.beginning)
        raise
    try:
        app_id = await signers.app_of(signature, body, SIGNATURE)
        received = await groups.take(app_id, body, request_id)
    except NotAuthenticated:
        troubles.refused("bad_signature", body)
        seen("wrong_signature", source_of(scope))
        raise
    except SecretLost:
        troubles.refused("secret_unreadable", body)
        raise
    finally:
        bodies.done(body)
    # Written by hand: it is three numbers, a few thousand times a second.
    return b'{"received":%d,"known":%d,"failed":%d}' % (received.new, received.known, received.failed)
