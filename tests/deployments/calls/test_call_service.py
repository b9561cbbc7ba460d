"""Draft, polish, caption, edit and keep, from outside over HTTP, over real engines and no Ray."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.image.png import png_bytes, read_png
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.publish import open_store
from app.store.verify import verify
from app.types import Status
from tests.deployments.workers import SIDE, authenticated, run, three_roles

IMAGES, EDITS, KEEP = "/v1/images/generations", "/v1/images/edits", "/v1/images/keep"


@asynccontextmanager
async def service(stock: Any, home: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the whole service but for Ray."""
    async with three_roles(stock, home) as service:
        transport = httpx.ASGITransport(authenticated(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


@pytest.fixture
def run_story(stock: Any, tmp_path: Path) -> Callable[[Callable[[httpx.AsyncClient], Any]], None]:
    def tell(story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async def begun() -> None:
            async with service(stock, tmp_path) as client:
                await story(client)

        run(begun)

    return tell


async def generate_one(
    client: httpx.AsyncClient, path: str = IMAGES, **fields: Any
) -> dict[str, Any]:
    """The one image of a call, with the route that was taken."""
    answer = await client.post(path, json={"prompt": "a red potion"} | fields)
    assert answer.status_code == 200, answer.text
    data = answer.json()
    (image,) = data["data"]
    return image | {"route": data["route"], "size": data["size"]}


def pixels(image: dict[str, Any]) -> NDArray[np.int64]:
    return read_png(b64decode(image["b64_json"])).astype(np.int64)


def enlarged(picture: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def test_polish_without_a_strength_is_the_draft_enlarged(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        draft = await generate_one(client, model="draft", seed=5, steps=3, guidance=2.0)
        polished = await generate_one(client, draft=draft["request_id"], size="32x32")
        assert polished["route"]["role"] == "final"
        assert polished["seed"] == 5
        assert np.array_equal(pixels(polished), enlarged(pixels(draft), 2))

    run_story(story)


def test_polish_with_a_strength_starts_from_the_draft_s_latents(run_story: Any) -> None:
    """Nearer to the draft the smaller the strength; each variation has a seed of its own."""

    async def story(client: httpx.AsyncClient) -> None:
        draft = await generate_one(client, model="draft", seed=5)
        away = []
        for strength in (0.2, 1.0):
            made = await generate_one(
                client, draft=draft["request_id"], strength=strength, steps=8, size="32x32"
            )
            away.append(np.abs(pixels(made) - enlarged(pixels(draft), 2)).mean())
        assert away[0] < away[1]
        several = await client.post(
            IMAGES,
            json={"prompt": "a red potion", "draft": draft["request_id"], "strength": 0.8, "n": 3},
        )
        assert [image["seed"] for image in several.json()["data"]] == [5, 6, 7]
        assert len({image["b64_json"] for image in several.json()["data"]}) == 3

    run_story(story)


def test_a_caption_is_set_beside_the_very_same_picture(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        draft = await generate_one(client, model="draft", seed=5)
        polished = await generate_one(client, draft=draft["request_id"], strength=0.5, size="32x32")
        layer = {"text": "SALE", "colour": "#102030", "plate": "auto"}
        captioned = await generate_one(
            client, draft=polished["request_id"], text_layers=[layer], size="120x160"
        )
        assert captioned["route"]["role"] == "typography"
        assert captioned["route"]["reason"] == "there is text to be set"
        assert [text["wanted"] for text in captioned["text"]] == ["SALE"]
        plain = await generate_one(
            client, draft=polished["request_id"], model="typography", size="120x160"
        )
        assert "text" not in plain
        assert not np.array_equal(pixels(captioned), pixels(plain))
        other = await generate_one(
            client, model="typography", text_layers=[layer], seed=6, size="120x160"
        )
        assert not np.array_equal(pixels(captioned)[:80], pixels(other)[:80])

    run_story(story)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"draft": "0" * 64}, 404, "draft_unknown"),
        ({"strength": 0.5}, 422, "invalid_parameter"),
        ({"model": "draft", "text_layers": [{"text": "SALE"}]}, 422, "out_of_bounds"),
        ({"text_layers": [{"text": "SALE", "font": "nowhere"}]}, 422, "invalid_request"),
        ({"text_layers": [{"text": "SALE", "font_digest": "0" * 64}]}, 422, "invalid_parameter"),
        ({"text_layers": [{"text": "\u58f2"}], "size": "120x160"}, 422, "invalid_request"),
        ({"residency": "eu"}, 422, "role_not_deployed"),
        ({"size": "48x48", "model": "final"}, 422, "out_of_bounds"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    run_story: Any, fields: dict[str, Any], status: int, code: str
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post(IMAGES, json={"prompt": "a red potion"} | fields)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    run_story(story)


def test_a_residency_that_is_served_is_kept_to(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        assert (await generate_one(client, residency="local"))["route"]["role"] == "final"

    run_story(story)


def png_of(side: int, colour: tuple[int, int, int], alpha: NDArray[np.uint8] | int = 255) -> bytes:
    picture = np.zeros((side, side, 4), np.uint8)
    picture[..., :3] = colour
    picture[..., 3] = alpha
    return png_bytes(picture, text={})


async def edited(client: httpx.AsyncClient, files: Any, **fields: str) -> httpx.Response:
    data = {"prompt": "a red potion", "model": "draft"} | fields
    return await client.post(EDITS, data=data, files=files)


def test_an_edit_starts_from_the_picture_that_comes_along(run_story: Any) -> None:
    """What the picture was counts the less the more is painted anew."""

    async def story(client: httpx.AsyncClient) -> None:
        async def painted(colour: tuple[int, int, int], strength: str) -> NDArray[np.int64]:
            files = {"image": png_of(40, colour)}
            answer = await edited(client, files, strength=strength, steps="8", seed="1")
            assert answer.status_code == 200, answer.text
            return pixels(answer.json()["data"][0])

        red, blue = (200, 30, 30), (30, 30, 200)
        apart = [
            np.abs(await painted(red, strength) - await painted(blue, strength)).mean()
            for strength in ("0.2", "0.9")
        ]
        assert apart[0] > 2 * apart[1]
        assert np.array_equal(await painted(red, "0.9"), await painted(red, "0.9"))

    run_story(story)


def test_under_a_mask_only_what_is_clear_is_painted_anew(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        alpha = np.full((SIDE, SIDE), 255, np.uint8)
        alpha[:, : SIDE // 2] = 0
        picture, mask = png_of(SIDE, (200, 30, 30)), png_of(SIDE, (0, 0, 0), alpha)
        plain = await edited(client, {"image": picture}, strength="0.01", steps="8", seed="2")
        masked = await edited(client, {"image": picture, "mask": mask}, steps="8", seed="2")
        assert masked.status_code == 200, masked.text
        kept, made = (pixels(answer.json()["data"][0]) for answer in (plain, masked))
        difference = np.abs(kept - made).mean(axis=(0, 2))
        assert difference[: SIDE // 2].mean() > 2 * difference[SIDE // 2 :].mean()

    run_story(story)


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [
        ({}, {}, "image"),
        ({"image": b"no picture"}, {}, None),
        ({"image": png_of(4, (1, 2, 3)), "mask": png_of(4, (1, 2, 3))}, {}, "mask"),
        ({"image": png_of(4, (1, 2, 3))}, {"n": "many"}, "n"),
        ({"image": png_of(4, (1, 2, 3))}, {"bogus": "1"}, "bogus"),
        ({"image": png_of(4, (1, 2, 3))}, {"draft": "0" * 64}, None),
        ({"image": png_of(4, (1, 2, 3))}, {"text_layers": "[{}]"}, "0.text"),
        ([("image", png_of(4, (1, 2, 3))), ("image", png_of(4, (1, 2, 3)))], {}, "image"),
    ],
)
def test_a_faulty_edit_is_refused_by_name(
    run_story: Any, files: Any, fields: dict[str, str], param: str | None
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await edited(client, files, **fields)
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["param"] == param

    run_story(story)


def test_a_kept_picture_is_an_asset_with_all_it_was_made_from(
    run_story: Any, tmp_path: Path
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        draft = await generate_one(client, model="draft", seed=5)
        polished = await generate_one(client, draft=draft["request_id"], strength=0.5, size="32x32")
        wanted = {"request_id": polished["request_id"], "name": "potion-red", "usage": "shop"}
        first, second = [(await client.post(KEEP, json=wanted)).json() for _ in range(2)]
        assert (first["already"], second["already"]) == (False, True)
        assert first | {"already": True} == second
        assert (first["status"], first["files"][0]["size"]) == ("accepted", "32x32")
        settings = Settings(home=tmp_path)
        store = open_store(settings.blobs, settings.catalog)
        record = store.catalog.asset("potion-red")
        assert record.status is Status.ACCEPTED
        assert record.image
        assert record.provenance
        assert store.blobs.get(record.image.digest) == b64decode(polished["b64_json"])
        start = record.image.provenance.request.init_image
        assert start
        assert store.blobs.get(start)
        assert record.image.provenance.engine
        assert record.provenance.finishing
        assert list(verify(store)) == []
        assert [run.plan for run in Catalog.open(settings.catalog).runs()] == ["previews"]

    run_story(story)


def test_what_is_not_at_hand_cannot_be_kept(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        wanted = {"request_id": "1" * 64, "name": "potion"}
        answer = await client.post(KEEP, json=wanted)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "picture_unknown")
        draft = await generate_one(client, model="draft")
        wanted = {"request_id": draft["request_id"], "name": "../../etc"}
        assert (await client.post(KEEP, json=wanted)).status_code == 422

    run_story(story)


def test_a_deadline_that_has_passed_frees_what_was_under_way(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        answer = await client.post(
            IMAGES,
            json={"prompt": "a", "model": "draft", "n": 8, "steps": 8, "deadline_ms": 1},
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        while (await client.get("/readyz")).json()["roles"]["draft"]["in_flight"]:
            await asyncio.sleep(0)
        assert (await generate_one(client, model="draft"))["seed"] >= 0

    run_story(story)


def test_the_document_of_the_endpoints_names_them_all(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        document = (await client.get("/openapi.json")).json()
        assert {IMAGES, EDITS, KEEP, "/generate", "/v1/models"} <= set(document["paths"])
        form = document["paths"][EDITS]["post"]["requestBody"]["content"]["multipart/form-data"]
        assert {"image", "mask", "prompt", "strength"} <= set(form["schema"]["properties"])
        assert "$ref" not in json.dumps(form) or "TextLayer" in document["components"]["schemas"]

    run_story(story)
