"""The doors: paths, bodies and answers over a desk; knows HTTP and no Ray."""

from time import monotonic, time
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.api.keys import Owner
from app.api.requests import GenerateRequest, ImagesRequest, KeepRequest
from app.api.responses import (
    ErrorAnswer,
    GenerateAnswer,
    ImagesAnswer,
    KeptAnswer,
    ModelsAnswer,
    generate_answer,
    images_answer,
    models_answer,
)
from app.digest import digest, digest_bytes
from app.errors import AtelierError
from app.types import Value
from deployments.calls.call_service import Call, Desk
from deployments.calls.idempotency import CallKey
from deployments.calls.init_images import Sent
from deployments.http.auth import ANYONE, OWNER, Keys
from deployments.http.multipart import edit_body, read_edit
from deployments.http.openapi import Documented
from deployments.http.page import add_page
from deployments.http.sse import written
from deployments.messages import ReplicaState
from deployments.monitoring.call_log import Course
from deployments.monitoring.scrape import CONTENT_TYPE
from deployments.problems import problem_of, problem_of_fields, problem_of_http, respond

ERRORS = (400, 401, 403, 408, 413, 429, 431, 500, 503, 504)
ASKED_WRONG = (404, 409, 422)
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
"""One of a stream, as it is read; what its data holds is said by its name."""

TEXT = {"type": "string"}
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]


Waits = Annotated[Literal["interactive", "bulk"], Header(alias="X-Atelier-Class")]
"""Whether somebody waits; it decides when a picture is made and never what it is."""


def surface(desk: Desk, keys: Keys) -> FastAPI:
    """The HTTP application over a desk; the guard stands before it, not in it.

    `keys` only decide what the document says of them.
    """
    app = Documented(
        keys=keys,
        title="Atelier",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=_errors(ERRORS),
    )
    _asking(app, desk)
    _looking(app, desk)
    add_page(app)
    app.add_exception_handler(RequestValidationError, _wrong_field)
    app.add_exception_handler(HTTPException, _wrong_door)
    app.add_exception_handler(AtelierError, _broken)
    app.add_exception_handler(Exception, _broken)
    return app


def _asking(app: FastAPI, desk: Desk) -> None:
    wrong = _errors(ASKED_WRONG)
    painted = wrong | {200: {"content": {"text/event-stream": {"schema": EVENT}}}}

    @app.post("/v1/images/generations", response_model=ImagesAnswer, responses=painted)
    async def images(
        asked: ImagesRequest, request: Request, key: Key = None, waits: Waits = "interactive"
    ) -> Response:
        """Images in the shape of OpenAI's API; with `stream`, its events as they come."""
        return await _answered(desk, asked, _call(request, key, asked, waits=waits))

    @app.post(
        "/v1/images/edits",
        response_model=ImagesAnswer,
        responses=painted,
        openapi_extra=edit_body(),
    )
    async def edits(request: Request, key: Key = None) -> Response:
        """Images from a picture that comes along, under a mask or as a whole."""
        asked, sent = await read_edit(request)
        return await _answered(desk, asked, _call(request, key, asked, sent))

    @app.post("/v1/images/keep", response_model=KeptAnswer, responses=wrong)
    async def keep(wanted: KeepRequest, request: Request) -> Response:
        """A picture that was painted a short while ago becomes an asset of the catalog."""
        return _json(KeptAnswer.of(await desk.keep(wanted, _owner(request))))

    @app.post("/generate", response_model=GenerateAnswer, responses=wrong)
    async def generate(asked: GenerateRequest, request: Request, key: Key = None) -> Response:
        """One preview, and how long it took."""
        started = monotonic()
        made = await desk.make(asked.as_images(), _call(request, key, asked))
        return _json(generate_answer(made, latency_seconds=monotonic() - started))


def _looking(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/models", response_model=ModelsAnswer)
    async def models() -> Response:
        """What is deployed, under the names that calls may use."""
        return _json(models_answer(desk.fleet))

    @app.get("/metrics", responses={200: {"content": {"text/plain": {"schema": TEXT}}}})
    async def metrics() -> Response:
        """What was counted here and what the catalog's books say, for Prometheus."""
        return Response(await desk.metrics(), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> dict[str, Any]:
        """Whether every deployed role answers, and what a replica of each has under way."""
        states = await desk.states()
        return {"status": "ready", "roles": {role: _state(one) for role, one in states.items()}}


def _state(state: ReplicaState) -> dict[str, Any]:
    """Without where a version's files stand: this door is open."""
    return {**state.as_json(), "model": state.model.reference}


async def _answered(desk: Desk, asked: ImagesRequest, call: Call) -> Response:
    if asked.stream:
        return await _streamed(desk, asked, call)
    made = await desk.make(asked, call)
    return _json(images_answer(made, explain=asked.explain, origin=call.bulk))


async def _streamed(desk: Desk, asked: ImagesRequest, call: Call) -> Response:
    """The first word is waited for here, so that what is refused still gets its status."""
    words = desk.stream(asked, call)
    try:
        first = await anext(words)
    except BaseException:
        await words.aclose()
        raise
    events = written(first, words, explain=asked.explain, created=int(time()))
    return StreamingResponse(events, media_type="text/event-stream")


def _call(
    request: Request,
    key: str | None,
    asked: Value,
    sent: Sent | None = None,
    *,
    waits: str = "interactive",
) -> Call:
    owner, bulk = _owner(request), waits == "bulk"
    course = Course.of(request.headers.get("x-request-id", ""), request.url.path, bulk=bulk)
    if key is None:
        return Call(owner=owner, sent=sent, course=course, bulk=bulk)
    files = [digest_bytes(file) for file in (sent.picture, sent.mask) if file] if sent else []
    fingerprint = digest([request.url.path, asked.as_json(), files])
    named = CallKey(owner=owner.name, key=key, fingerprint=fingerprint)
    return Call(owner, sent, named, course, bulk)


def _owner(request: Request) -> Owner:
    owner: Owner = request.scope.get(OWNER, ANYONE)
    return owner


def _json(value: Value) -> JSONResponse:
    return JSONResponse(value.model_dump(mode="json", exclude_none=True))


def _errors(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer} for status in statuses}


async def _wrong_field(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return respond(problem_of_fields(error.errors()))


async def _wrong_door(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = respond(problem_of_http(error))
    answer.headers.update(error.headers or {})  # Allow, with 405
    return answer


async def _broken(request: Request, error: Exception) -> Response:
    return respond(problem_of(error))
