"""The sandbox's addresses: the Graph API's, and its own below ``/sandbox``."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from workers.sandbox.clock import words_of
from workers.sandbox.faults import Fault, FaultKind, Faults
from workers.sandbox.graph import Graph, Refused
from workers.sandbox.graph_errors import unknown_path
from workers.sandbox.line import Line, LineFault
from workers.sandbox.pace import Pace
from workers.sandbox.people import Page, Person
from workers.sandbox.script import Act, Kind
from workers.sandbox.stage import Stage
from workers.sandbox.weather import Weather
from workers.sandbox.witness import judge
from workers.sandbox.words import START, STOP
from workers.sandbox.zones import zone


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PersonAsked(_Body):
    """A person to make up or to replace. Whoever is left out of ``psid`` gets a new one."""

    page_id: str
    zone: str
    psid: str | None = Field(None, pattern=r"^\d{1,20}$")
    country: str | None = Field(None, pattern="^[A-Z]{2}$")
    region: str | None = Field(None, pattern="^[A-Z]{2}-[A-Z0-9]{1,3}$")
    locale: str = "en_US"
    first_name: str = "Alex"
    last_name: str = "Doe"
    evidence: Literal["optin_iana", "import_iana", "profile_offset", "country_only", "none"] = "none"


class Saying(_Body):
    """Something a person does now, or did at ``at``."""

    psid: str
    kind: Literal[
        "message", "quick_reply", "postback", "optin", "one_time", "stop_updates", "resume_updates", "stop", "start",
        "block", "unblock",
    ] = "message"  # fmt: skip
    text: str | None = None
    payload: str | None = None
    #: What the person means; ``stop`` and ``start`` as kinds imply it.
    intent: Literal["stop", "start"] | None = None
    at: datetime | None = None
    #: When the token ends that they grant.
    expires_at: datetime | None = None
    #: Whether to answer only when the webhook was acknowledged or given up.
    wait: bool = True


class FaultAsked(_Body):
    """The next ``count`` messages meet a fault."""

    kind: FaultKind
    page_id: str | None = None
    count: int = Field(1, ge=1, le=100_000)
    accepted: bool = True
    echo: bool = True
    code: int | None = None
    subcode: int | None = None
    status: int = Field(400, ge=200, le=599)
    retry_after: int | None = Field(None, ge=0, le=86_400)
    seconds: float = Field(12.0, gt=0, le=120)


class LineAsked(_Body):
    """The line breaks: ``refuse`` for some real seconds, ``slam`` or ``swallow`` the next ``count`` connections."""

    kind: LineFault
    count: int = Field(1, ge=1, le=1000)
    seconds: float = Field(1.0, gt=0, le=120)


class WeatherAsked(_Body):
    """How webhooks travel from now on."""

    repeated: float = Field(0.0, ge=0, le=1)
    copies: int = Field(5, ge=1, le=20)
    late: float = Field(0.0, ge=0, le=1)
    latest: float = Field(0.0, ge=0, le=600)
    lost: float = Field(0.0, ge=0, le=1)


class TokenAsked(_Body):
    """A page's token is revoked, or works again."""

    page_id: str
    revoked: bool


def create_app(
    stage: Stage, *, version: str, rate: int, scripted: bool, latency: int = 0, line: Line | None = None
) -> FastAPI:
    """The application. ``scripted``: the people follow the demo's script; else tests make them up and make them act.

    ``latency``: real milliseconds that a message is on its way before it arrives.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stage.resume()
        yield
        await stage.stop()

    app = FastAPI(title="Duly's sandbox", lifespan=lifespan, openapi_url=None)
    faults = Faults()
    _add_stage(app, stage, scripted)
    if not scripted:
        _add_hands(app, stage)

    @app.post("/sandbox/fault", status_code=204)
    async def ask_fault(asked: FaultAsked) -> Response:
        if asked.page_id is not None:
            _page(stage, asked.page_id)
        faults.ask(Fault(**asked.model_dump()))
        return Response(status_code=204)

    _add_trouble(app, stage, line or Line())

    graph = Graph(stage, Pace(rate), faults, version)
    _add_graph(app, graph, latency)

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return graph.refusal(error.error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)

    @app.exception_handler(404)
    async def nothing_there(request: Request, error: HTTPException) -> JSONResponse:
        path = request.url.path.lstrip("/")
        if path.startswith("sandbox/"):
            return JSONResponse({"error": error.detail}, 404)
        return graph.refusal(unknown_path(path))

    return app


def _add_stage(app: FastAPI, stage: Stage, scripted: bool) -> None:
    world = stage.world

    @app.get("/sandbox/pages")
    async def pages() -> list[dict[str, Any]]:
        return [asdict(page) for page in world.pages.values()]

    @app.get("/sandbox/people")
    async def people() -> list[dict[str, Any]]:
        return [
            {"psid": each.psid, "page_id": each.page_id, "evidence": each.evidence, "imports": each.imports}
            for each in world.people.values()
        ]

    @app.post("/sandbox/play")
    async def play() -> dict[str, Any]:
        if not scripted:
            raise HTTPException(409, "there is no script; start the sandbox with --script demo")
        page = next(iter(world.pages.values()))
        handshake = await stage.webhooks.handshake(page.verify_token)
        return {"begun": stage.play(), "handshake": "verified" if handshake else "refused"}

    @app.get("/sandbox/status")
    async def status() -> dict[str, Any]:
        return {
            "now": words_of(stage.clock.read().at),
            "playing": world.playing_since is not None,
            "over": stage.is_over,
            "events_total": stage.acts_total or world.delivered + world.failed + len(world.open_events),
            "events_sent": world.delivered + world.failed + len(world.open_events),
            "events_delivered": world.delivered,
            "events_failed": world.failed,
            "evidence_delivered": stage.evidence_delivered,
            "requests": world.requests,
            "accepted": world.accepted,
            "refused": world.refused,
        }

    @app.get("/sandbox/verdict")
    async def verdict() -> dict[str, Any]:
        return (await asyncio.to_thread(judge, stage.log.path)).as_json()


def _add_trouble(app: FastAPI, stage: Stage, line: Line) -> None:
    """What a test may let go wrong around the platform."""
    line.record = lambda record: stage.record({**record, "real": stage.clock.read().real})

    @app.post("/sandbox/line", status_code=204)
    async def ask_line(asked: LineAsked) -> Response:
        if asked.kind == "refuse":
            stage.spawn(line.refuse(asked.seconds))
        elif asked.kind == "slam":
            line.slams = asked.count
        else:
            line.swallows = asked.count
        return Response(status_code=204)

    @app.put("/sandbox/weather", status_code=204)
    async def ask_weather(asked: WeatherAsked) -> Response:
        stage.weather = Weather(**asked.model_dump())
        return Response(status_code=204)

    @app.post("/sandbox/token", status_code=204)
    async def ask_token(asked: TokenAsked) -> Response:
        page = _page(stage, asked.page_id)
        stage.record({"kind": "token", "page_id": page.id, "revoked": asked.revoked, "real": stage.clock.read().real})
        await stage.log.safe()
        return Response(status_code=204)


def _add_hands(app: FastAPI, stage: Stage) -> None:
    """What tests may do when there is no script."""
    world = stage.world

    @app.post("/sandbox/person", status_code=201)
    async def make_person(asked: PersonAsked) -> dict[str, Any]:
        _page(stage, asked.page_id)
        try:
            zone(asked.zone)
        except ValueError as error:
            raise HTTPException(422, f"zone: {error}") from None
        psid = asked.psid or str(10**15 + secrets.randbelow(9 * 10**15))
        person = Person(**{**asked.model_dump(), "psid": psid})
        stage.record(person.record())
        await stage.log.safe()
        return {"psid": psid, "page_id": person.page_id, "evidence": person.evidence, "imports": person.imports}

    @app.post("/sandbox/say")
    async def say(saying: Saying) -> dict[str, Any]:
        if saying.psid not in world.people:
            raise HTTPException(404, f"nobody has the psid {saying.psid}")
        if saying.at is not None and saying.at.tzinfo is None:
            raise HTTPException(422, "at: has no offset; write it like 2026-03-07T12:00:00Z")
        now = stage.clock.read()
        event_id = f"{saying.psid}-said-{secrets.token_hex(8)}"
        if saying.kind == "unblock":
            stage.record({"kind": "unblock", "id": event_id, "psid": saying.psid, "at": now.at, "real": now.real})
            await stage.log.safe()
            return {"event_id": event_id, "at": words_of(now.at), "delivered": True}
        act = Act(
            id=event_id,
            psid=saying.psid,
            at=now.at if saying.at is None else saying.at.timestamp(),
            kind=_KINDS.get(saying.kind, "message"),
            text=saying.text or _DEFAULT_TEXTS.get(saying.kind),
            payload=saying.payload,
            intent=_INTENTS.get(saying.kind, saying.intent),
            expires_at=saying.expires_at.timestamp() if saying.expires_at is not None else None,
        )
        told = stage.spawn(stage.act(act))
        return {"event_id": event_id, "at": words_of(act.at), "delivered": await told if saying.wait else None}


def _add_graph(app: FastAPI, graph: Graph, latency: int) -> None:
    @app.post("/{version}/{page_id}/messages")
    async def send(version: str, page_id: str, request: Request) -> Response:
        if latency:
            await asyncio.sleep(latency / 1000)  # the network, not a wait for something
        return await graph.send(version, page_id, request)

    @app.post("/{version}/{page_id}/message_templates")
    async def register_template(version: str, page_id: str, request: Request) -> Response:
        return await graph.register_template(version, page_id, request)

    @app.get("/{version}/{page_id}/message_templates")
    async def list_templates(version: str, page_id: str, request: Request) -> Response:
        return graph.list_templates(version, page_id, request)

    @app.get("/{version}/{node}")
    async def look_up(version: str, node: str, request: Request) -> Response:
        return graph.look_up(version, node, request)


def _page(stage: Stage, page_id: str) -> Page:
    page = stage.world.pages.get(page_id)
    if page is None:
        raise HTTPException(404, f"there is no page {page_id}; GET /sandbox/pages lists them")
    return page


_KINDS: dict[str, Kind] = {
    "quick_reply": "quick_reply", "postback": "postback", "optin": "optin", "one_time": "one_time",
    "stop_updates": "stop_updates", "resume_updates": "resume_updates", "block": "block",
}  # fmt: skip
_INTENTS: dict[str, Literal["stop", "start"]] = {"stop": "stop", "start": "start"}
_DEFAULT_TEXTS = {
    "message": "Hello",
    "quick_reply": "Yes",
    "postback": "Get Started",
    "stop": STOP["en"][0],
    "start": START,
}
