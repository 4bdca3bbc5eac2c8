"""The Graph API that the sandbox plays: messages, paid ones too, profiles, pages, message templates.

Every request for a message is logged as it arrived and as it was answered before the answer leaves.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workers.sandbox import events, graph_errors
from workers.sandbox.faults import Fault, Faults, reset
from workers.sandbox.graph_errors import GraphError, bad_parameter, unknown_object, unknown_path
from workers.sandbox.pace import Pace
from workers.sandbox.people import Page
from workers.sandbox.permissions import Use, use_of
from workers.sandbox.send_rules import refusal_of
from workers.sandbox.stage import Stage
from workers.sandbox.world import APPROVED, Template
from workers.sandbox.zones import offset_hours

#: One accepted message in so many is answered only after its echo was delivered, or that took so long (real seconds).
_ECHO_FIRST_ONE_IN, _ECHO_FIRST_WAIT = 10, 0.3
#: Real seconds after which even a hanging connection ends.
_HANG = 120.0
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_PROFILE_FIELDS = ("first_name", "last_name", "name", "locale", "timezone")


class Refused(Exception):
    """The platform refuses the request."""

    def __init__(self, error: GraphError) -> None:
        super().__init__(error.message)
        self.error = error


class Graph:
    """Answers what starts with a version."""

    def __init__(self, stage: Stage, pace: Pace, faults: Faults, version: str) -> None:
        """``version`` is the newest there is."""
        self._stage, self._pace, self._faults, self._newest = stage, pace, faults, _numbers(version)
        self._world = stage.world

    async def send(self, version: str, page_id: str, request: Request) -> Response:
        """``POST /{version}/{page}/messages``."""
        arrived = self._stage.clock.read()
        raw = await request.body()
        body = _document(raw)
        world, number = self._world, self._world.requests + 1
        token = _token(request, body)
        page = world.page_of_token(token)
        use = use_of(body)
        own = page_id == "me" or page_id.startswith("act_")
        told: dict[str, Any] = {"n": number, "page_id": page.id if page and own else page_id}
        text = raw.decode("utf-8", "backslashreplace")
        self._stage.record(
            # The token is nobody's business who reads the log.
            {"kind": "request", **told, "at": arrived.at, "real": arrived.real,
             "body": text.replace(token, "***") if token else text}
        )  # fmt: skip
        try:
            page = self._permitted(version, page_id, request, body, use, arrived.at)
        except Refused as refused:
            self._answer(number, refused.error.status, code=refused.error.code, subcode=refused.error.subcode)
            await self._stage.log.safe()
            return self.refusal(refused.error, told["page_id"])
        assert isinstance(body, dict)  # what is not is refused above
        psid: str = (world.permissions.person(use) or "") if use is not None else body["recipient"]["id"]
        if "sender_action" in body:
            self._answer(number, 200)
            await self._stage.log.safe()
            return self._json({"recipient_id": psid})
        fault = self._faults.take(page.id)
        if fault is not None:
            return await self._break(fault, request, number, page, psid, body["message"])
        return await self._accept(number, page, psid, body["message"], paid=use is not None and use.kind == "marketing")

    def _permitted(
        self, version: str, page_id: str, request: Request, body: object, use: Use | None, at: float
    ) -> Page:
        self._check_version(version, f"{version}/{page_id}/messages")
        page = self._authorised(request, _token(request, body), body, page_id)
        if page_id.startswith("act_") != (use is not None and use.kind == "marketing"):
            raise Refused(bad_parameter("Paid messages go to an ad account, all others to a page"))
        refusal = self._pace.refusal_of(page.id) or refusal_of(body, page, self._world, at)
        if refusal is not None:
            raise Refused(refusal)
        return page

    async def _accept(
        self, number: int, page: Page, psid: str, message: dict[str, Any], *, paid: bool = False
    ) -> Response:
        message_id, echoed = self._take(number, page, psid, message)
        await self._stage.log.safe()
        if number % _ECHO_FIRST_ONE_IN == 0:
            await _wait(echoed, _ECHO_FIRST_WAIT)
        if paid:
            return self._json({"success": True, "marketing_message_tracking_id": str(uuid.uuid4())})
        return self._json({"recipient_id": psid, "message_id": message_id})

    def _take(
        self,
        number: int,
        page: Page,
        psid: str,
        message: dict[str, Any],
        *,
        status: int = 200,
        echo: bool = True,
        **what: Any,
    ) -> tuple[str, asyncio.Event]:
        """The platform has the message now, whatever becomes of the answer."""
        message_id = events.mid(f"{page.access_token}:{number}")
        self._answer(number, status, mid=message_id, **what)
        echoed = asyncio.Event()
        if echo:
            self._stage.spawn(self._stage.follow(page, psid, message_id, message, echoed))
        return message_id, echoed

    async def _break(
        self, fault: Fault, request: Request, number: int, page: Page, psid: str, message: dict[str, Any]
    ) -> Response:
        failing = fault.kind == "http500_after_accept"
        status = {"http500_after_accept": 500, "error": fault.status, "drip": 200}.get(fault.kind, 0)
        message_id = None
        if fault.accepted or failing or fault.kind == "drip":
            message_id, _echoed = self._take(
                number, page, psid, message, status=status, echo=fault.echo, fault=fault.kind
            )
        else:
            code = {} if fault.code is None else {"code": fault.code}
            self._answer(number, status, fault=fault.kind, **code)
        await self._stage.log.safe()
        if failing:
            return self.refusal(graph_errors.FAILED_AFTER_ACCEPTING)
        if fault.kind == "error":
            return self._error(fault)
        if fault.kind == "drip":
            return StreamingResponse(_drip(psid, message_id, fault.seconds), media_type="application/json")
        if fault.kind == "hang":
            await _wait_for_end(request, _HANG)
        reset(request.state.transport)
        await _wait_for_end(request, 1.0)
        return Response()

    def _error(self, fault: Fault) -> Response:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.code is None:
            return Response(b"Too much of it.", fault.status, headers)
        error = GraphError(code=fault.code, subcode=fault.subcode, message=f"(#{fault.code}) Something went wrong")
        return self._json(error.body("A" + secrets.token_urlsafe(16)), fault.status, headers)

    def _answer(self, number: int, status: int, **what: Any) -> None:
        """Log an answer; status 0 is none at all."""
        self._stage.record(
            {"kind": "answer", "n": number, "status": status, "real": self._stage.clock.read().real, **what}
        )

    def look_up(self, version: str, node: str, request: Request) -> Response:
        """``GET /{version}/{page or psid}``: a page's name, or a person's profile. Raises Refused."""
        self._check_version(version, f"{version}/{node}")
        owner = self._authorised(request, _token(request, None), None, None)
        fields = [name for name in request.query_params.get("fields", "").split(",") if name]
        if node in ("me", owner.id):
            known = {"id": owner.id, "name": owner.name}
            return self._json({name: known[name] for name in dict.fromkeys(["id", *fields]) if name in known})
        return self._profile(node, owner, fields)

    def _profile(self, psid: str, page: Page, fields: list[str]) -> Response:
        person = self._world.people.get(psid)
        if person is None or person.page_id != page.id:
            raise Refused(unknown_object(psid))
        if person.evidence != "profile_offset":
            # Some have no profile; most have simply not shared it.
            if person.evidence == "none" and int(psid[-1]) % 2:
                raise Refused(graph_errors.NO_PROFILE)
            return self._json({})
        known = {
            "id": psid, "first_name": person.first_name, "last_name": person.last_name, "name": person.name,
            "locale": person.locale, "timezone": offset_hours(self._stage.clock.read().at, person.zone),
        }  # fmt: skip
        wanted = fields or ["first_name", "last_name"]
        return self._json({name: known[name] for name in (*_PROFILE_FIELDS, "id") if name in wanted or name == "id"})

    async def register_template(self, version: str, page_id: str, request: Request) -> Response:
        """``POST /{version}/{page}/message_templates``: approved at once. Raises Refused."""
        body = _document(await request.body())
        self._check_version(version, f"{version}/{page_id}/message_templates")
        page = self._authorised(request, _token(request, body), body, page_id)
        kept = _template(body)
        template_id = str(1_000_000_000 + len(self._world.templates))
        self._stage.record({"kind": "template", "id": template_id, "page_id": page.id, **kept})
        await self._stage.log.safe()
        return self._json({"id": template_id, "status": "APPROVED", "category": kept["category"]})

    def list_templates(self, version: str, page_id: str, request: Request) -> Response:
        """``GET /{version}/{page}/message_templates``. Raises Refused."""
        self._check_version(version, f"{version}/{page_id}/message_templates")
        page = self._authorised(request, _token(request, None), None, page_id)
        built_in = [Template(str(n), page.id, name, "en", "UTILITY") for n, name in enumerate(sorted(APPROVED), 1)]
        own = [template for template in self._world.templates if template.page_id == page.id]
        shown = ("id", "name", "language", "category")
        return self._json(
            {
                "data": [
                    {"status": "APPROVED", **{name: getattr(each, name) for name in shown}}
                    for each in (*built_in, *own)
                ]
            }
        )

    def _check_version(self, version: str, path: str) -> None:
        numbers = _numbers(version)
        if not (0, 0) < numbers <= self._newest:
            raise Refused(unknown_path(path))

    def _authorised(self, request: Request, token: str | None, body: object, page_id: str | None) -> Page:
        """The page on whose behalf this is; raises Refused."""
        if token is None:
            raise Refused(graph_errors.NO_TOKEN)
        page = self._world.page_of_token(token)
        if page is None:
            raise Refused(graph_errors.BAD_TOKEN)
        proof = request.query_params.get("appsecret_proof")
        if proof is None and isinstance(body, dict) and isinstance(body.get("appsecret_proof"), str):
            proof = body["appsecret_proof"]
        expected = hmac.new(page.app_secret.encode(), token.encode(), "sha256").hexdigest()
        if proof is not None and not hmac.compare_digest(proof.encode(), expected.encode()):
            raise Refused(graph_errors.BAD_PROOF)
        if page_id not in (None, "me", page.id, f"act_{page.ad_account_id}"):
            known = page_id in self._world.pages
            raise Refused(graph_errors.OTHER_PAGE if known else unknown_object(str(page_id)))
        return page

    def refusal(self, error: GraphError, page_id: str = "") -> JSONResponse:
        """The answer that says so."""
        throttled = error in (graph_errors.THROTTLED, graph_errors.THROTTLED_HARD)
        headers = {"X-Business-Use-Case-Usage": self._pace.usage(page_id, error)} if throttled else {}
        return self._json(error.body("A" + secrets.token_urlsafe(16)), error.status, headers)

    def _json(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
        major, minor = self._newest
        return JSONResponse(content, status, {"facebook-api-version": f"v{major}.{minor}", **(headers or {})})


def _template(body: object) -> dict[str, str]:
    """Name, language and category of a template to register; raises Refused."""
    if not isinstance(body, dict):
        raise Refused(bad_parameter("The body must be a JSON object"))
    for name in ("name", "language", "category"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise Refused(bad_parameter(f"The parameter {name} is required"))
    if body["category"] != "UTILITY":
        raise Refused(bad_parameter("Param category must be one of {UTILITY}"))
    if not isinstance(body.get("components"), list) or not body["components"]:
        raise Refused(bad_parameter("The parameter components is required"))
    return {name: body[name] for name in ("name", "language", "category")}


def _numbers(version: str) -> tuple[int, int]:
    found = _VERSION.fullmatch(version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _document(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _token(request: Request, body: object) -> str | None:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "oauth") and bearer.strip():
        return bearer.strip()
    given = request.query_params.get("access_token")
    if given is None and isinstance(body, dict) and isinstance(body.get("access_token"), str):
        given = body["access_token"]
    return given or None


async def _drip(psid: str, message_id: str | None, seconds: float) -> AsyncIterator[bytes]:
    """An answer, byte by byte."""
    body = json.dumps({"recipient_id": psid, "message_id": message_id}).encode()
    for at in range(len(body)):
        yield body[at : at + 1]
        await asyncio.sleep(seconds / len(body))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _wait_for_end(request: Request, seconds: float) -> None:
    """Until the other side has gone."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
