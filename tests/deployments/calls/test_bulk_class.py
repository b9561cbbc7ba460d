"""Calls of class bulk: the same pictures, behind everybody who waits, with room of their own."""

import asyncio
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.api.keys import KeyOwner, KeyRing
from app.backends.service import BULK_HEADER, ServiceBackend
from app.digest import digest_bytes
from app.route.by_role import Role
from app.types import GenerationRequest, Provenance, Route, Sampler, Tags
from deployments.http.app import create_app
from deployments.http.auth import AuthMiddleware
from deployments.monitoring import metrics
from tests.deployments.http.test_app import IMAGES, app_of, body, run_with_client
from tests.deployments.monitoring.test_metrics import samples, value
from tests.deployments.workers import (
    DRAFT,
    LIMITS,
    SIDE,
    TINY,
    authenticated,
    render_job,
    rendered,
    run,
    service_of,
)
from tests.deployments.workers import worker_of as opened
from tests.engine.test_async_engine import Gated

ROUTE = Route(backend="engine", model=TINY, reason="the test names it")


def run_request(**changes: Any) -> GenerationRequest:
    fields: dict[str, Any] = {
        "prompt": "a red potion", "width": SIDE, "height": SIDE, "num_inference_steps": 3,
        "guidance_scale": 2.5, "seed": 7,
    }  # fmt: skip
    return GenerationRequest(**fields | changes)


@pytest.mark.parametrize(
    "request_",
    [
        run_request(),
        run_request(guidance_scale=0, negative_prompt="grey", seed=2**32 - 1),
        run_request(sampler=Sampler.DPMPP_2M, tags=Tags(team="art", residency="local", priority=9)),
    ],
    ids=["plain", "negative", "tags"],
)
def test_what_a_run_asks_is_the_request_that_is_painted(
    stock: Any, request_: GenerationRequest
) -> None:
    asking = ServiceBackend(ROUTE, "http://127.0.0.1:1", None, mode="exact", timeout_seconds=1)

    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post(IMAGES, json=asking._body(request_), headers=BULK_HEADER)
        assert answer.status_code == 200, answer.text
        made = asking._read_answer(answer.content, request_, seconds=0.0)
        assert made.request == request_
        assert made.environment is not None
        assert made.environment.service == "127.0.0.1:1"
        (image,) = answer.json()["data"]
        assert image["request_id"] == request_.id
        provenance = Provenance.model_validate_json(image["provenance"])
        assert provenance.request.tags.team == request_.tags.team

    run_with_client(stock, story)


def test_the_class_changes_no_byte_and_only_bulk_is_told_its_provenance(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        images = []
        for headers in ({}, {"X-Atelier-Class": "interactive"}, BULK_HEADER):
            answer = await client.post(IMAGES, json=body(seed=3, steps=3), headers=headers)
            images.append(answer.json()["data"][0])
        assert len({image["b64_json"] for image in images}) == 1
        assert ["provenance" in image for image in images] == [False, False, True]
        wrong = await client.post(IMAGES, json=body(), headers={"X-Atelier-Class": "urgent"})
        assert wrong.status_code == 422
        assert wrong.json()["error"]["param"].lower().endswith("x-atelier-class")

    run_with_client(stock, story)


def test_bulk_is_counted_apart_and_pushes_no_picture_of_people_out(stock: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        made = (await client.post(IMAGES, json=body(seed=1))).json()["data"][0]["request_id"]
        bulk = await client.post(IMAGES, json=body(seed=2), headers=BULK_HEADER)
        of_bulk = bulk.json()["data"][0]["request_id"]
        statuses = [
            (await client.post(IMAGES, json=body(draft=request_id))).status_code
            for request_id in (made, of_bulk)
        ]
        assert statuses == [200, 404]
        values = samples((await client.get("/metrics")).text)
        assert value(values, metrics.BULK_CALLS, outcome="answered") == 1
        assert value(values, metrics.REQUESTS, outcome="answered") == 2
        assert value(values, "atelier_request_seconds_count") == 2
        assert value(values, "atelier_stage_seconds_count", stage="engine") == 2
        assert value(values, metrics.PREVIEWS) == 3

    run_with_client(stock, story)


def test_a_house_full_of_bulk_has_all_its_room_for_people(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with opened(pipeline, capacity=3) as (worker, _):

            def begin(number: int, *, bulk: bool, seed: int) -> asyncio.Task[Any]:
                requests = [request_of(seed=seed + offset) for offset in range(number)]
                asked = render_job(*requests).replace(bulk=bulk)
                return asyncio.create_task(rendered(worker, asked))

            under_way = [begin(3, bulk=True, seed=10), begin(3, bulk=False, seed=20)]
            await asyncio.sleep(0)
            state = await worker.state()
            assert (state.in_flight, state.bulk_in_flight) == (6, 3)
            refused = [begin(1, bulk=bulk, seed=30) for bulk in (True, False)]
            assert [(await task)[0].reason for task in refused] == ["capacity", "capacity"]
            pipeline.gate.set()
            assert [len(await task) for task in under_way] == [3, 3]

    run(story)


def test_a_run_that_is_cancelled_frees_its_rows(stock: Any) -> None:
    pipeline = Gated(stock)

    async def story() -> None:
        async with app_of(pipeline) as client:
            pipeline.gate.clear()
            call = client.post(IMAGES, json=body(steps=8, n=4), headers=BULK_HEADER)
            running = asyncio.create_task(call)
            while await _bulk(client) < 4:
                await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            pipeline.gate.set()
            while await _bulk(client):
                await asyncio.sleep(0)
            assert pipeline.steps < 8

    run(story)


def test_bulk_calls_beyond_the_limit_are_refused_and_interactive_calls_are_not(
    stock: Any, tmp_path: Path
) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with opened(pipeline) as (worker, _):
            service = service_of({Role.DRAFT: worker}, (DRAFT,), tmp_path, max_bulk_calls=1)
            transport = httpx.ASGITransport(authenticated(service))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                bulk = asyncio.create_task(client.post(IMAGES, json=body(), headers=BULK_HEADER))
                while not await _bulk(client):
                    await asyncio.sleep(0)
                refused = await client.post(IMAGES, json=body(), headers=BULK_HEADER)
                error = (refused.status_code, refused.json()["error"]["code"])
                assert error == (429, "queue_full")
                assert refused.headers["retry-after"] == str(LIMITS.retry_after_seconds)
                interactive = asyncio.create_task(client.post(IMAGES, json=body()))
                pipeline.gate.set()
                assert [(await call).status_code for call in (bulk, interactive)] == [200, 200]
                again = await client.post(IMAGES, json=body(), headers=BULK_HEADER)
                assert again.status_code == 200

    run(story)


def test_bulk_counts_against_the_quota_of_its_key(stock: Any, tmp_path: Path) -> None:
    owner = KeyOwner(name="anna", team="art", images_at_once=2, images_per_minute=4)
    keys = KeyRing(owners={digest_bytes(b"secret"): owner})
    key = {"Authorization": "Bearer secret"}

    async def story() -> None:
        async with opened(Gated(stock)) as (worker, _):
            service = service_of({Role.DRAFT: worker}, (DRAFT,), tmp_path)
            guard = AuthMiddleware(create_app(service, keys), limits=LIMITS, keys=keys)
            transport = httpx.ASGITransport(guard)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=key
            ) as client:
                for _ in range(2):
                    made = await client.post(IMAGES, json=body(n=2), headers=BULK_HEADER)
                    assert made.status_code == 200
                    assert len(b64decode(made.json()["data"][1]["b64_json"])) > 0
                refused = await client.post(IMAGES, json=body(), headers=BULK_HEADER)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0

    run(story)


def test_a_key_is_shown_to_the_service_that_wants_one() -> None:
    asking = ServiceBackend(
        ROUTE, "http://127.0.0.1:1", SecretStr("secret"), mode="exact", timeout_seconds=1
    )
    assert asking._client().headers["authorization"] == "Bearer secret"


async def _bulk(client: httpx.AsyncClient) -> int:
    (state,) = (await client.get("/readyz")).json()["roles"].values()
    count: int = state["bulk_in_flight"]
    return count
