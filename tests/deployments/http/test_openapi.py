"""The service keeps what its OpenAPI document says: schemathesis calls every endpoint."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, PositiveInt
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import get_client
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.keys import KeyOwner, KeyRing
from app.digest import digest_bytes
from deployments.http.app import DocumentedApp, create_app
from deployments.http.auth import AuthMiddleware, is_open
from tests.deployments.workers import LIMITS, SIDE, three_roles

HOST = "http://localhost"
EXAMPLES = 50
"""Per endpoint, beside one for each boundary value of its parameters."""
KEY = {"Authorization": "Bearer secret"}
KEYS = KeyRing(owners={digest_bytes(b"secret"): KeyOwner(name="anna", team="team-a")})
WIDE_LIMITS = LIMITS.replace(body_bytes=2**20, header_bytes=2**18, picture_bytes=2**19)
NOT_CHECKED = {"positive_data_acceptance": {"enabled": False}}
"""What is well formed may still ask for what no model paints; it is refused with 422."""


class Service:
    """The whole service but for Ray, in the loop that calls it, and as if from this machine."""

    def __init__(self, stock: Any, home: Path, keys: KeyRing) -> None:
        self._stock, self._home, self._keys = stock, home, keys
        self._guard: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._guard is not None
            await self._guard({**scope, "client": ("127.0.0.1", 1)}, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with three_roles(self._stock, self._home) as service:
            self._guard = AuthMiddleware(
                create_app(service, self._keys), limits=WIDE_LIMITS, keys=self._keys
            )
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@dataclass
class Report:
    """The faults, and the statuses of the answers, by endpoint."""

    endpoints: tuple[str, ...]
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    """The first of each endpoint and check."""
    statuses: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def note(self, event: events.ScenarioFinished) -> None:
        """Take up the calls of one scenario."""
        endpoint = event.recorder.label
        for call in event.recorder.interactions.values():
            assert call.response is not None
            self.statuses[endpoint].add(call.response.status_code)
        for check in (check for checks in event.recorder.checks.values() for check in checks):
            if check.failure_info is not None:
                failure, sample = check.failure_info.failure, check.failure_info.code_sample
                words = f"{failure.title}: {failure.message}\n{sample}"
                self.faults.setdefault((endpoint, check.name), words)


def report_on(
    app: ASGIApp,
    headers: Mapping[str, str] | None = None,
    words: Mapping[str, Sequence[Any]] | None = None,
) -> Report:
    """All checks of schemathesis at every endpoint; `words` are likely values of fields."""
    words = words or {}
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": HOST,
            "headers": dict(headers or {}),
            "continue-on-failure": True,
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "checks": NOT_CHECKED,
            "dictionaries": {name: {"values": list(values)} for name, values in words.items()},
            "parameters": {
                f"body.{name}": {"dictionary": name, "probability": 0.7} for name in words
            },
        }
    )
    asked = {"Host": "localhost", **KEY}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers=asked)
    report = Report(tuple(operation.ok().label for operation in schema.get_all_operations()))
    for event in from_schema(schema).execute():
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            raise event.value
        if isinstance(event, events.ScenarioFinished):
            report.note(event)
    return report


def known_words(app: ASGIApp) -> dict[str, Sequence[Any]]:
    """What no document can say: the sizes of the tiny models, and a picture that was painted."""
    body = {"prompt": "a gem", "model": "draft", "seed": 1}
    with get_client(app) as client:
        painted = client.post(f"{HOST}/v1/images/generations", json=body, headers=KEY).json()
    request_id = painted["data"][0]["request_id"]
    return {
        "width": [SIDE],
        "height": [SIDE],
        "size": ["auto", f"{SIDE}x{SIDE}", f"{2 * SIDE}x{2 * SIDE}"],
        "model": ["draft", "final", "typography"],
        "steps": [1, 2],
        "draft": [request_id],
        "request_id": [request_id],
    }


def document_of(app: ASGIApp) -> Any:
    with get_client(app) as client:
        return client.get(f"{HOST}/openapi.json", headers=KEY).json()


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "headers"), [(KeyRing(), {}), (KEYS, KEY)], ids=["open", "keyed"])
def test_every_endpoint_keeps_what_the_document_says(
    stock: Any, tmp_path: Path, keys: KeyRing, headers: dict[str, str]
) -> None:
    service = Service(stock, tmp_path, keys)
    report = report_on(service, headers, known_words(service))
    assert not report.faults, "\n\n".join(map(str, report.faults.items()))
    unanswered = [endpoint for endpoint in report.endpoints if 200 not in report.statuses[endpoint]]
    assert not unanswered, f"never answered: {unanswered}; known_words lacks what they need"


@pytest.mark.slow
def test_a_caller_without_a_key_learns_nothing_but_that(stock: Any, tmp_path: Path) -> None:
    report = report_on(Service(stock, tmp_path, KEYS))
    assert not report.faults, "\n\n".join(map(str, report.faults.items()))
    for endpoint in report.endpoints:
        expected = 200 if is_open(endpoint.partition(" ")[2]) else 401
        assert expected in report.statuses[endpoint]
        assert expected == 200 or report.statuses[endpoint] == {401}


class DivisionBody(BaseModel):
    """The body of the faulty endpoints."""

    divisor: PositiveInt


def a_500(asked: DivisionBody) -> Any:
    return JSONResponse({}, status_code=500 if asked.divisor > 1 else 200)


def an_undocumented_status(asked: DivisionBody) -> Any:
    return JSONResponse({}, status_code=418)


def an_undocumented_media_type(asked: DivisionBody) -> Any:
    return PlainTextResponse("six")


def another_body(asked: DivisionBody) -> Any:
    return JSONResponse({"quotient": "six"})


def no_check(asked: dict[str, Any]) -> Any:
    return JSONResponse({"quotient": 6.0})


class DivisionAnswer(BaseModel):
    """What they promise."""

    quotient: float


@pytest.mark.parametrize(
    ("endpoint", "check"),
    [
        (a_500, "not_a_server_error"),
        (an_undocumented_status, "status_code_conformance"),
        (an_undocumented_media_type, "content_type_conformance"),
        (another_body, "response_schema_conformance"),
    ],
)
def test_an_endpoint_that_does_not_is_found(
    endpoint: Callable[[DivisionBody], Any], check: str
) -> None:
    app = FastAPI()
    app.post("/quotients", response_model=DivisionAnswer)(endpoint)
    assert ("POST /quotients", check) in report_on(app).faults


def test_an_endpoint_that_takes_what_it_should_refuse_is_found() -> None:
    app = FastAPI()
    schema = {"schema": DivisionBody.model_json_schema()}
    app.post(
        "/quotients",
        response_model=DivisionAnswer,
        openapi_extra={"requestBody": {"content": {"application/json": schema}}},
    )(no_check)
    assert ("POST /quotients", "negative_data_rejection") in report_on(app).faults


def test_an_endpoint_that_breaks_is_found() -> None:
    app = FastAPI()

    @app.post("/quotients", response_model=DivisionAnswer)
    def broken(asked: DivisionBody) -> Any:
        return {"quotient": 1 / (asked.divisor - asked.divisor)}

    with pytest.raises(ZeroDivisionError):
        report_on(app)


def test_an_endpoint_that_does_not_ask_for_the_key_it_says_it_needs_is_found() -> None:
    app = DocumentedApp(keys=KEYS)
    app.get("/secrets", response_model=DivisionAnswer)(lambda: {"quotient": 6.0})
    assert ("GET /secrets", "ignored_auth") in report_on(app, KEY).faults


def test_the_document_says_which_endpoints_need_a_key_as_long_as_one_is_needed(
    stock: Any, tmp_path: Path
) -> None:
    assert "securitySchemes" not in document_of(Service(stock, tmp_path, KeyRing()))["components"]
    document = document_of(Service(stock, tmp_path, KEYS))
    (scheme,) = document["components"]["securitySchemes"].items()
    assert scheme[1]["scheme"] == "bearer"
    for path, endpoints in document["paths"].items():
        for endpoint in endpoints.values():
            assert endpoint["security"] == ([] if is_open(path) else [{scheme[0]: []}])
