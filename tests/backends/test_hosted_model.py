"""A hosted model in the fleet: registered, planned, made, priced, measured, replayed."""

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.cli.main import atelier as commands
from app.digest import Json
from app.engine.results import FailedRequest, RenderedImage
from app.errors import NoRoute
from app.fleet.prices import price_sheet
from app.flow.make import make
from app.generate.generate import Generator
from app.generate.renderer import find_route, open_renderer, open_reproducing_renderer
from app.generate.terms import GenerationTerms
from app.image.png import read_png
from app.models.sd3 import Sd3Pipeline
from app.plan.expand import expand
from app.plan.read import read_plan
from app.registry.references import available_models, pin_references
from app.route.by_name import route_by_name
from app.route.by_role import Role
from app.settings import Settings
from app.store.publish import open_store
from app.types import AssetRecord, Status, Tags
from deployments.preview_service import PreviewService
from tests.backends.provider import Provider, Reply, asked, backend_of, model_at
from tests.cli.test_main import run, run_json, written
from tests.deployments.http.browser import Lock, served
from tests.deployments.workers import DRAFT, service_of, worker_of
from tests.engine.engines import LENGTH
from tests.registries import settings_in
from tests.values import ROUTE, spec_with

RULES = [{"check": "sharpness", "at_least": 0}, {"check": "duplicate_distance", "at_least": 0}]
PLAN: dict[str, Any] = {
    "atelier": 1,
    "name": "posters",
    "model": "poster/1",
    "assets": [
        {"name": "potion", "kind": "poster", "sizes": [64], "prompt": "a {colour} potion",
         "axes": {"colour": ["red", "blue"]}, "rules": RULES}
    ],
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings_in(tmp_path / "home")
    sheet = tmp_path / "prices.yaml"
    sheet.write_text("cpu_second: 0.5\nmodels: {poster: {call: 0.04}}\n")
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ATELIER_PRICES", str(sheet))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path


def register(hosting: Provider, *more: str, code: int = 0) -> Any:
    return run_json(
        "models", "register-hosted", hosting.url, "--model", "painter-1", "--name", "poster",
        "--licence", "their terms", "--size", "64x64", *more, code=code,
    )  # fmt: skip


def made(path: str) -> list[AssetRecord]:
    """What the plan makes, on the terms of its price sheet."""
    settings = Settings()
    store, models = open_store(settings.blobs, settings.catalog), available_models(settings)
    records = []
    for spec in expand(pin_references(read_plan(Path(path)), models, settings), models):
        route = route_by_name(spec, models)
        terms = GenerationTerms(
            who="anna",
            plan="posters",
            price=price_sheet(settings).price(route.model, route.backend),
        )
        backend = open_renderer(route, settings, store)
        generator = Generator(route, backend, store, owner="run-1", terms=terms)
        records.append(make(spec, generator, None, Neighbours()))
    store.catalog.close()
    return records


def shape(value: Json) -> Json:
    """The names of all fields, whatever they hold."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value[:1]] if isinstance(value, list) else None


def test_a_plan_runs_on_a_hosted_model_as_on_any_other(hosting: Provider, home: Path) -> None:
    model = register(hosting)["model"]
    assert (model["family"], model["source"]) == ("hosted", "hosted provider")
    path = written(home, PLAN)
    assert run_json("plan", path)["to_make"] == 2
    records = made(path)
    assert [record.status for record in records] == [Status.ACCEPTED] * 2
    assert len(hosting.calls) == 2
    assert run_json("plan", path)["to_make"] == 0
    (costs,) = run_json("costs", "--by", "model")["groups"]
    assert (costs["name"], costs["made"], costs["usd"]) == ("poster/1", 2, 0.08)
    image = records[0].image
    assert image is not None
    assert image.provenance.backend == "openai_images"
    settings = Settings()
    store = open_store(settings.blobs, settings.catalog)
    local = make(spec_with(), Generator(ROUTE, EchoBackend(), store, "run-1"), None, Neighbours())
    for hosted, own in ((records[0].image, local.image), (records[0].asset, local.asset)):
        assert hosted is not None
        assert own is not None
        differing = {"provenance"}  # an engine's settings are there or not
        assert shape({k: v for k, v in hosted.as_json().items() if k not in differing}) == shape(
            {k: v for k, v in own.as_json().items() if k not in differing}
        )
    assert records[0].as_json().keys() == local.as_json().keys()
    store.catalog.close()


def test_a_seedless_picture_is_not_bought_again_to_be_compared(
    hosting: Provider, home: Path
) -> None:
    register(hosting)
    made(written(home, PLAN))
    (first, two) = run_json("replay", "--where", "model=poster/1", code=1)
    assert "takes no seed" in first["error"]
    assert "nothing was sent" in two["error"]
    assert len(hosting.calls) == 2


def test_a_seeded_picture_comes_out_the_same_and_is_really_asked_for(
    hosting: Provider, home: Path
) -> None:
    register(hosting, "--capability", "seeded")
    made(written(home, PLAN))
    replays = run_json("replay", "--where", "model=poster/1")
    assert [replay["sameness"] for replay in replays] == ["identical"] * 2
    assert len(hosting.painted) == 4


@pytest.mark.parametrize("tags", [{"tags": {"residency": "local"}}, {}])
def test_a_plan_that_must_stay_local_is_told_so_before_anything_is_sent(
    tags: dict[str, Any], hosting: Provider, home: Path
) -> None:
    register(hosting)
    (asset,) = PLAN["assets"]
    own = {} if tags else {"tags": {"residency": "local"}}
    path = written(home, PLAN | tags | {"assets": [asset | own]})
    answer = run_json("plan", path, code=2)
    assert answer["error"] == "NoRoute"
    for part in ("potion", "poster/1", hosting.host, "residency is local", "model: starter"):
        assert part in answer["message"]
    with pytest.raises(NoRoute):
        made(path)
    assert not hosting.calls


def test_a_local_asset_whose_model_became_hosted_is_not_remade_there(
    hosting: Provider, home: Path
) -> None:
    """A replay goes by the name: the second wall stops what the first never saw."""
    successor = model_at(hosting.url, "seeded")
    route = find_route("painter/7", {"painter": successor})
    settings = Settings()
    store = open_store(settings.blobs, settings.catalog)
    local = asked(tags=Tags(residency="local"))
    (outcome,) = open_reproducing_renderer(route, settings, store).generate([local])
    store.catalog.close()
    assert isinstance(outcome, FailedRequest)
    assert "residency is local" in str(outcome.error)
    assert not hosting.calls


def test_a_golden_run_costs_what_its_calls_cost(hosting: Provider, home: Path) -> None:
    register(hosting, "--until", "2020-01-01", code=0)
    prompts = home / "prompts.txt"
    prompts.write_text("a red key\na blue key\n")
    ended = run_json("models", "measure", "poster/1", "--prompts", str(prompts), "--samples", "2")
    assert (ended["failed"], hosting.calls) == (4, [])
    hosting.mode = "RGBA"
    run_json(
        "models", "register-hosted", hosting.url, "--model", "painter-2", "--name", "poster",
        "--licence", "their terms", "--size", "64x64",
    )  # fmt: skip
    for times in (1, 2):  # what was answered before counts for nothing
        answer = run_json(
            "models", "measure", "poster/2", "--prompts", str(prompts), "--samples", "2"
        )
        assert (answer["images"], answer["failed"]) == (4, 0)
        assert answer["usd_per_image"] == pytest.approx(0.04)
        assert len(hosting.calls) == len(hosting.painted) == 4 * times
    assert "ended on 2020-01-01" in all_output("models", "list")
    assert hosting.url in run("models", "show", "poster/2")


def all_output(*arguments: str) -> str:
    """What stands on stdout and on stderr."""
    return CliRunner().invoke(commands, arguments).output


def test_the_same_address_is_the_same_version_and_is_never_altered(
    hosting: Provider, home: Path
) -> None:
    assert register(hosting)["model"]["version"] == "1"
    assert register(hosting)["model"]["version"] == "1"
    refused = register(hosting, "--until", "2999-01-01", code=2)
    assert "is already registered" in refused["message"]
    assert register(hosting, "--option", "quality=high")["model"]["version"] == "2"
    for faulty in ([hosting.url, "--name", "poster"], ["--model", "x", "--name", "poster"], []):
        refusal = CliRunner().invoke(commands, ["models", "register-hosted", *faulty])
        assert refusal.exit_code == 2
        assert "Missing" in refusal.output
    assert not hosting.calls


def test_a_failed_call_is_booked_and_its_asset_goes_on(hosting: Provider, home: Path) -> None:
    register(hosting)
    hosting.faults = [lambda _: Reply(status=400)]
    (asset,) = PLAN["assets"]
    variant = asset | {"axes": {"colour": ["red"]}, "candidates": 1, "attempts": 2}
    (record,) = made(written(home, PLAN | {"assets": [variant]}))
    assert (record.status, record.attempts) == (Status.ACCEPTED, 2)
    (costs,) = run_json("costs", "--by", "model")["groups"]
    assert (costs["made"], costs["failed"], costs["usd"]) == (1, 1, 0.08)


@pytest.mark.slow
def test_a_bulk_run_adds_up_on_a_hosted_model(hosting: Provider, home: Path) -> None:
    register(hosting)
    hosting.faults = [lambda _: Reply(status=500)]
    command = [sys.executable, "-m", "jobs", "bulk", written(home, PLAN), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["asked"], summary["accepted"]) == (2, 2)
    assert summary["cost_usd"] == pytest.approx(0.08)
    assert len(hosting.painted) == 2


@pytest.fixture
def atelier(stock: Any, tmp_path: Path) -> Iterator[str]:
    """Our own service over the tiny model, at an address of this machine."""

    @asynccontextmanager
    async def services() -> AsyncGenerator[PreviewService]:
        async with worker_of(Sd3Pipeline(stock, max_sequence_length=LENGTH)) as (worker, _):
            yield service_of({Role.DRAFT: worker}, (DRAFT,), tmp_path)

    with served(services, Lock()) as url:
        yield url


def test_atelier_is_a_hosted_model_of_atelier(atelier: str) -> None:
    able = model_at(f"{atelier}/v1", "seeded", "steps", "negative-prompt", "transparent")
    assert able.hosted is not None
    model = able.replace(hosted=able.hosted.replace(model="tiny"))
    request = asked(7, num_inference_steps=3, guidance_scale=2, negative_prompt="fog")
    first, again = (
        list(backend_of(model).generate([request, asked(8, num_inference_steps=2)]))
        for _ in range(2)
    )
    assert all(isinstance(result, RenderedImage) for result in (*first, *again))
    pixels = {
        result.request.seed: result.pixels.tobytes()
        for result in (*first, *again)
        if isinstance(result, RenderedImage)
    }
    assert len(pixels) == 2
    body = {"prompt": "a red potion", "seed": 7, "steps": 3, "guidance": 2.0, "size": "16x16"}
    body |= {"model": "tiny", "negative_prompt": "fog"}
    direct = httpx.post(f"{atelier}/v1/images/generations", json=body, timeout=60).json()
    assert read_png(b64decode(direct["data"][0]["b64_json"])).tobytes() == pixels[7]
    (state,) = httpx.get(f"{atelier}/readyz", timeout=60).json()["roles"].values()
    assert state["forward_passes"] <= 3 + 2 + 3  # the repeated calls made nothing
