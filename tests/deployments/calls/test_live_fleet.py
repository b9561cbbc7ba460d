"""What callers are told while a role goes on to another version: the truth, from first to last."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.digest import digest
from app.engine.engine import Engine
from app.models.random_weights import Sd3Shape, random_sd3
from app.models.sd3 import Sd3Pipeline
from app.route.by_role import DeployedModel, Role
from app.store.pointers import Pointer
from app.store.publish import open_store
from app.types import ModelVersion
from deployments.calls.live_fleet import LiveFleet
from deployments.messages import Refused, RenderEvent, RenderJob, ReplicaState
from deployments.replica.engine_worker import EngineWorker
from deployments.replica.rollover import EngineWorkers
from tests.deployments.http.test_app import events
from tests.deployments.workers import TINY, authenticated, run, service_of
from tests.engine.engines import LENGTH

IMAGES = "/v1/images/generations"
FIRST, SECOND = (
    TINY.replace(version=str(number), weights_digest=digest(f"tiny {number}")) for number in (1, 2)
)
SERVED = DeployedModel(
    role=Role.DRAFT, reference="tiny@champion", model=FIRST, steps=4, max_steps=8
)


def worker_of(model: ModelVersion) -> EngineWorker:
    stock = random_sd3(Sd3Shape(), seed=int(model.version))
    engine = Engine(
        Sd3Pipeline(stock, max_sequence_length=LENGTH), mode="exact", knee=lambda w, h: 16
    )
    return EngineWorker(engine, model, capacity=8, stuck_seconds=60)


@asynccontextmanager
async def moved_behind_the_service(home: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A service whose fleet knows the first version while its workers render with the second."""
    workers = EngineWorkers(worker_of(FIRST))
    transport = httpx.ASGITransport(
        authenticated(service_of({Role.DRAFT: workers}, (SERVED,), home))
    )
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.post(IMAGES, json=asked(seed=7), headers={"Idempotency-Key": "early"})
            await workers.switch_to(worker_of(SECOND))
            yield client
    finally:
        await workers.drain()


def asked(**fields: Any) -> dict[str, Any]:
    return {"prompt": "a red potion", "model": "draft", "seed": 1} | fields


def test_an_answer_names_who_painted_it_whatever_was_known_when_it_was_asked(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with moved_behind_the_service(tmp_path) as client:
            answer = (await client.post(IMAGES, json=asked(n=2))).json()
            assert answer["route"]["model"] == "tiny/2"
            assert [image["model"] for image in answer["data"]] == ["tiny/2"] * 2
            streamed = events(
                (await client.post(IMAGES, json=asked(stream=True, partial_images=2))).text
            )
            assert streamed[-1]["route"]["model"] == streamed[-1]["model"] == "tiny/2"
            assert streamed[-1]["b64_json"] == answer["data"][0]["b64_json"]
            quick = {"prompt": "a red potion", "width": 16, "height": 16}
            preview = (await client.post("/generate", json=quick)).json()
            assert preview["route"]["model"] == "tiny/2"

    run(story)


def test_an_answer_that_is_repeated_names_who_painted_it_then(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved_behind_the_service(tmp_path) as client:
            headers = {"Idempotency-Key": "early"}
            again = (await client.post(IMAGES, json=asked(seed=7), headers=headers)).json()
            anew = (await client.post(IMAGES, json=asked(seed=7))).json()
            assert again["route"]["model"] == again["data"][0]["model"] == "tiny/1"
            assert anew["route"]["model"] == anew["data"][0]["model"] == "tiny/2"
            assert b64decode(again["data"][0]["b64_json"]) != b64decode(anew["data"][0]["b64_json"])

    run(story)


def test_a_picture_is_kept_as_the_work_of_who_painted_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved_behind_the_service(tmp_path) as client:
            (image,) = (await client.post(IMAGES, json=asked())).json()["data"]
            wanted = {"request_id": image["request_id"], "name": "potion"}
            assert (await client.post("/v1/images/keep", json=wanted)).status_code == 200

    run(story)
    store = open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")
    (record,) = store.catalog.find_assets(model="tiny/2")
    store.catalog.close()
    assert record.model == record.spec.model == "tiny/2"
    assert record.provenance is not None
    assert record.provenance.weights_digest == SECOND.weights_digest


def test_one_who_names_the_version_is_told_that_it_moved_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with moved_behind_the_service(tmp_path) as client:
            answer = await client.post(IMAGES, json=asked(model="tiny/1"))
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "version_moved"
            assert answer.headers["retry-after"]

    run(story)


class FixedState:
    """A role's replicas as far as their state goes."""

    def __init__(self) -> None:
        self.state_now = ReplicaState(model=FIRST)
        self.asked = 0

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Nobody is asked to here."""
        yield Refused(reason="capacity", message="full")

    async def state(self) -> ReplicaState:
        """As it was said last."""
        self.asked += 1
        return self.state_now


def moved(number: int, target: str) -> Pointer:
    return Pointer(
        name="tiny", alias="champion", number=number, target=target, below=None, reason="a test",
        moved_at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip


@pytest.mark.parametrize("followed", [True, False])
def test_a_role_is_shown_with_a_version_once_its_replicas_have_dealt_with_the_move(
    followed: bool,
) -> None:
    fleet, replicas = LiveFleet((SERVED,)), FixedState()

    async def look() -> ModelVersion:
        await fleet.follow_move(Role.DRAFT, replicas, moved(2, "tiny/2"))
        (model,) = fleet.served
        return model.model

    async def story() -> None:
        assert await look() == FIRST  # they are behind
        replicas.state_now = ReplicaState(model=FIRST, asleep=True)
        assert await look() == FIRST
        after = SECOND if followed else FIRST  # one that refused has dealt with it too
        replicas.state_now = ReplicaState(model=after, as_of=2)
        assert [await look(), await look()] == [after] * 2
        assert replicas.asked == 3  # and none is asked again

    asyncio.run(story())
