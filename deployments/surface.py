"""The doors: paths, bodies and answers over a desk; knows HTTP and no Ray."""

from time import monotonic, time
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from app.answers import (
    ErrorAnswer,
    GenerateAnswer,
    ImagesAnswer,
    ModelsAnswer,
    generate_answer,
    images_answer,
    models_answer,
)
from app.api import GenerateRequest, ImagesRequest
from app.digest import digest
from app.errors import AtelierError
from app.types import Value
from deployments.desk import Desk
from deployments.events import written
from deployments.guard import OWNER
from deployments.ledger import CallKey
from deployments.problems import problem_of, problem_of_fields, problem_of_http, respond

DOORS = """Atelier, previews. The doors:
POST /v1/images/generations   OpenAI's images API
GET  /v1/models               what is deployed
POST /generate                {"prompt", "width", "height"} -> an image and its latency
GET  /healthz /readyz         alive; ready, and what is under way
GET  /openapi.json            all of it, exactly
"""
ERRORS = (400, 401, 403, 408, 413, 429, 431, 500, 503)
ASKED_WRONG = (404, 409, 422)

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]


def surface(desk: Desk) -> FastAPI:
    """The HTTP application over a desk; the guard stands before it, not in it."""
    app = FastAPI(
        title="Atelier", version="1", docs_url=None, redoc_url=None, responses=_errors(ERRORS)
    )
    _asking(app, desk)
    _looking(app, desk)
    app.add_exception_handler(RequestValidationError, _wrong_field)
    app.add_exception_handler(HTTPException, _wrong_door)
    app.add_exception_handler(AtelierError, _broken)
    app.add_exception_handler(Exception, _broken)
    return app


def _asking(app: FastAPI, desk: Desk) -> None:
    wrong = _errors(ASKED_WRONG)

    @app.post("/v1/images/generations", response_model=ImagesAnswer, responses=wrong)
    async def images(asked: ImagesRequest, request: Request, key: Key = None) -> Response:
        """Images in the shape of OpenAI's API; with `stream`, its events as they come."""
        call = _call(request, key, asked)
        if asked.stream:
            return await _streamed(desk, asked, call)
        made = await desk.make(asked, call)
        return _json(images_answer(made, explain=asked.explain))

    @app.post("/generate", response_model=GenerateAnswer, responses=wrong)
    async def generate(asked: GenerateRequest, request: Request, key: Key = None) -> Response:
        """One preview, and how long it took."""
        started = monotonic()
        made = await desk.make(asked.as_images(), _call(request, key, asked))
        return _json(generate_answer(made, latency_seconds=monotonic() - started))


def _looking(app: FastAPI, desk: Desk) -> None:
    @app.get("/", response_class=PlainTextResponse)
    async def doors() -> str:
        """The doors, in words."""
        return DOORS

    @app.get("/v1/models", response_model=ModelsAnswer)
    async def models() -> Response:
        """What is deployed, under the names that calls may use."""
        return _json(models_answer(desk.fleet))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> dict[str, Any]:
        """Whether every deployed role answers, and what a replica of each has under way."""
        states = await desk.states()
        return {"status": "ready", "roles": {role: one.as_json() for role, one in states.items()}}


async def _streamed(desk: Desk, asked: ImagesRequest, call: CallKey | None) -> Response:
    """The first word is waited for here, so that what is refused still gets its status."""
    words = desk.stream(asked, call)
    try:
        first = await anext(words)
    except BaseException:
        await words.aclose()
        raise
    events = written(first, words, explain=asked.explain, created=int(time()))
    return StreamingResponse(events, media_type="text/event-stream")


def _call(request: Request, key: str | None, asked: Value) -> CallKey | None:
    if key is None:
        return None
    fingerprint = digest([request.url.path, asked.as_json()])
    return CallKey(owner=request.scope.get(OWNER, ""), key=key, fingerprint=fingerprint)


def _json(value: Value) -> JSONResponse:
    return JSONResponse(value.model_dump(mode="json", exclude_none=True))


def _errors(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer} for status in statuses}


async def _wrong_field(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return respond(problem_of_fields(error.errors()))


async def _wrong_door(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return respond(problem_of_http(error))


async def _broken(request: Request, error: Exception) -> Response:
    return respond(problem_of(error))
