"""The endpoints, from outside over HTTP, over a real engine and without Ray."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.api.requests import ImagesRequest
from app.engine.pipeline import Rows
from app.image.png import read_png
from app.models.sd3 import Sd3Pipeline
from app.route.by_role import Role
from tests.deployments.workers import DRAFT, SIDE, authenticated, run, service_of, worker_of
from tests.engine.engines import LENGTH
from tests.engine.test_async_engine import Gated

IMAGES = "/v1/images/generations"


@asynccontextmanager
async def app_of(pipeline: Any, *, capacity: int = 8) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of all endpoints over one worker."""
    with TemporaryDirectory() as home:
        async with worker_of(pipeline, capacity=capacity) as (worker, _):
            service = service_of({Role.DRAFT: worker}, (DRAFT,), Path(home))
            transport = httpx.ASGITransport(authenticated(service))
            base_url = "http://localhost"
            async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
                yield client


def run_with_client(stock: Any, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a story with a client of the tiny model's endpoints."""

    async def begun() -> None:
        async with app_of(Sd3Pipeline(stock, max_sequence_length=LENGTH)) as client:
            await story(client)

    run(begun)


def body(**fields: Any) -> dict[str, Any]:
    return {"prompt": "a red potion", "model": "tiny"} | fields


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_text_to_image_with_its_way_and_its_seeds(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post(IMAGES, json=body(n=3, seed=7, explain=True))
        assert answer.status_code == 200
        document = answer.json()
        assert [image["seed"] for image in document["data"]] == [7, 8, 9]
        for image in document["data"]:
            assert read_png(b64decode(image["b64_json"])).shape == (SIDE, SIDE, 4)
        assert document["route"] == {
            "role": "draft",
            "model": "tiny/1",
            "reason": "the caller names tiny",
            "considered": ["the caller names tiny"],
        }

    run_with_client(stock, story)


def test_the_preview_endpoint_answers_the_shortest_call_with_its_latency(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        asked = {"prompt": "a gem", "width": SIDE, "height": SIDE}
        answer = await client.post("/generate", json=asked)
        document = answer.json()
        assert document["latency_seconds"] >= document["engine_seconds"] > 0
        again = await client.post("/generate", json=asked | {"seed": document["seed"]})
        assert again.json()["b64_json"] == document["b64_json"]

    run_with_client(stock, story)


def test_sketches_stream_before_the_image_and_the_image_is_the_same(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        streamed = await client.post(IMAGES, json=body(seed=1, stream=True, partial_images=3))
        assert streamed.headers["content-type"].startswith("text/event-stream")
        received = events(streamed.text)
        kinds = [event["type"].removeprefix("image_generation.") for event in received]
        assert kinds == ["partial_image"] * 3 + ["completed"]
        assert [event.get("partial_image_index") for event in received] == [0, 1, 2, None]
        whole = (await client.post(IMAGES, json=body(seed=1))).json()
        assert received[-1]["b64_json"] == whole["data"][0]["b64_json"]

    run_with_client(stock, story)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "dall-e-3"}, 404, "model_not_found"),
        ({"model": None}, 422, "role_not_deployed"),
        ({"model": "typography"}, 422, "role_not_deployed"),
        ({"size": "17x17"}, 422, "out_of_bounds"),
        ({"steps": 9}, 422, "out_of_bounds"),
        ({"prompt": ""}, 422, "invalid_parameter"),
        ({"bogus": 1}, 422, "invalid_parameter"),
        ({"n": 9}, 503, "no_capacity"),
    ],
)
def test_what_is_refused_has_a_status_a_code_and_says_why(
    stock: Any, fields: dict[str, Any], status: int, code: str, stream: bool
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post(IMAGES, json=body(stream=stream, **fields))
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert answer.headers.get("retry-after") == ("3" if status == 503 else None)
        if code == "invalid_parameter":
            assert error["param"] in fields

    run_with_client(stock, story)


def test_a_body_that_is_no_json_and_an_endpoint_that_is_none(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        torn = await client.post(IMAGES, content=b'{"prompt', headers=headers)
        assert (torn.status_code, torn.json()["error"]["code"]) == (422, "invalid_parameter")
        assert (await client.post(IMAGES, content=json.dumps(body()))).status_code == 422
        assert (await client.get("/docs")).json()["error"]["code"] == "unknown_url"
        assert (await client.get(IMAGES)).json()["error"]["code"] == "method_not_allowed"

    run_with_client(stock, story)


def test_an_error_repeats_nothing_of_what_was_sent(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        secret = "<script>alert('potion')</script>"
        for fields in ({"size": secret}, {"seed": secret}, {"tags": [secret]}):
            answer = await client.post(IMAGES, json=body(**fields))
            assert answer.status_code == 422
            assert secret not in answer.text

    run_with_client(stock, story)


def test_the_read_endpoints(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).headers["content-type"].startswith("text/html")
        (model,) = (await client.get("/v1/models")).json()["data"]
        assert (model["id"], model["object"]) == ("tiny", "model")
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        await client.post(IMAGES, json=body())
        (state,) = (await client.get("/readyz")).json()["roles"].values()
        assert (state["in_flight"], state["forward_passes"]) == (0, 4)

    run_with_client(stock, story)


def test_the_same_call_under_a_key_is_made_once_and_answered_alike(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        async def post(key: str, **fields: Any) -> httpx.Response:
            headers = {"Idempotency-Key": key}
            return await client.post(IMAGES, json=body(**fields), headers=headers)

        first = await post("a")  # without a seed: a second making would show
        assert (await post("a")).json() == first.json()
        reused = await post("a", n=2)
        assert (reused.status_code, reused.json()["error"]["code"]) == (
            422,
            "idempotency_key_reused",
        )
        assert (await post("b")).json() != first.json()
        (state,) = (await client.get("/readyz")).json()["roles"].values()
        assert state["forward_passes"] == 8
        streamed = events((await post("c", stream=True)).text)
        assert events((await post("c", stream=True)).text)[-1]["seed"] == streamed[-1]["seed"]
        assert (await post("two words")).status_code == 422

    run_with_client(stock, story)


def test_while_a_keyed_call_is_under_way_the_same_call_is_told_to_wait(stock: Any) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with app_of(pipeline) as client:
            headers = {"Idempotency-Key": "a"}
            first = asyncio.create_task(client.post(IMAGES, json=body(), headers=headers))
            while not await _in_flight(client):
                await asyncio.sleep(0)
            second = await client.post(IMAGES, json=body(), headers=headers)
            assert second.status_code == 409
            assert second.headers["retry-after"] == "1"
            pipeline.gate.set()
            assert (await first).status_code == 200

    run(story)


def test_a_keyed_call_whose_caller_went_away_may_be_made_again(stock: Any) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with app_of(pipeline) as client:
            headers = {"Idempotency-Key": "a"}
            first = asyncio.create_task(client.post(IMAGES, json=body(), headers=headers))
            while not await _in_flight(client):
                await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            pipeline.gate.set()
            while await _in_flight(client):
                await asyncio.sleep(0)
            assert (await client.post(IMAGES, json=body(), headers=headers)).status_code == 200

    run(story)


class BreaksAtThird(Gated):
    """A bug in its third step."""

    def predict(self, rows: Rows) -> torch.Tensor:
        self.broken = self.steps == 2
        return super().predict(rows)


def test_what_breaks_in_a_stream_is_told_in_the_stream_and_not_in_its_own_words(
    stock: Any,
) -> None:
    async def story() -> None:
        async with app_of(BreaksAtThird(stock)) as client:
            asked = body(stream=True, partial_images=3)
            answer = await client.post(IMAGES, json=asked)
            assert answer.status_code == 200
            *sketches, last = events(answer.text)
            assert [sketch["partial_image_index"] for sketch in sketches] == [0, 1]
            assert last["error"]["code"] == "generation_failed"
            assert "a bug" not in answer.text
            after = await client.post(IMAGES, json=body())
            assert (after.status_code, after.json()["error"]["code"]) == (500, "generation_failed")

    run(story)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.builds(body) | st.dictionaries(
    st.sampled_from(sorted(ImagesRequest.model_fields)), JSON
)
REQUESTS = st.tuples(
    st.sampled_from([IMAGES, "/generate"]),
    st.binary(max_size=50)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda first, other: json.dumps(first | other).encode(), BODIES, BODIES),
)


def test_no_body_breaks_an_endpoint_and_every_answer_is_a_documented_one(stock: Any) -> None:
    with asyncio.Runner() as runner:
        endpoints = app_of(Sd3Pipeline(stock, max_sequence_length=LENGTH))
        client = runner.run(endpoints.__aenter__())
        paths = runner.run(client.get("/openapi.json")).json()["paths"]

        @given(REQUESTS)
        def call(path_and_body: tuple[str, bytes]) -> None:
            path, content = path_and_body
            headers = {"content-type": "application/json"}
            answer = runner.run(client.post(path, content=content, headers=headers))
            assert str(answer.status_code) in paths[path]["post"]["responses"]
            assert answer.status_code in (200, 422) or answer.json()["error"]["code"] in (
                "invalid_body",
                "model_not_found",
                "no_capacity",
            )

        call()
        runner.run(endpoints.__aexit__(None, None, None))


async def _in_flight(client: httpx.AsyncClient) -> int:
    (state,) = (await client.get("/readyz")).json()["roles"].values()
    count: int = state["in_flight"]
    return count
