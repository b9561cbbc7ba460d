"""A run whose images a running service makes, and people who ask that service meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest

from app.backends.service import ServiceBackend
from app.generate.generate import Generator
from app.generate.renderer import open_renderer
from app.models.bundled import bundled_models
from app.plan.expand import expand
from app.plan.read import read_plan
from app.settings import Settings
from app.store.publish import open_store
from app.types import GeneratedImage, Route
from tests.deployments.service_process import ROOT, Service

pytestmark = pytest.mark.slow

PLAN = {
    "atelier": 1,
    "name": "door",
    "model": "starter",
    "defaults": {"sizes": ["64x64"], "candidates": 1, "attempts": 1},
    "assets": [
        {
            "name": "potion", "kind": "icon", "prompt": "a {colour} {item}",
            "axes": {"colour": ["red", "blue", "green"], "item": ["potion", "gem", "coin", "key"]},
            "rules": [{"check": "sharpness", "at_least": 0}], "tags": {"team": "props"},
        }
    ],
}  # fmt: skip
ASSETS = 12


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        started = Service(Path(folder), _draft_alone)
        try:
            assert started.said, "it did not start"
            yield started
        finally:
            started.stop()


def _draft_alone(args: dict[str, Any]) -> None:
    """One replica with little room, so that bulk is shed and comes again."""
    for role in ("polish", "typography"):
        del args[role]
    args["draft"]["replicas"]["max_replicas"] = 1
    args["draft"]["capacity"] = 10


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(PLAN))
    return path


def _bulk(plan: Path, home: Path, url: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        "ATELIER_HOME": str(home), "ATELIER_SERVICE": url, "OMP_NUM_THREADS": "1",
        "ATELIER_HOSTED_TIMEOUT_SECONDS": "300",
    }  # fmt: skip
    command = [sys.executable, "-m", "jobs", "bulk", str(plan), "--workers", "2", "--json"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_run_through_the_endpoint_is_a_local_one_byte_for_byte_and_nobody_is_turned_away(
    service: Service, plan: Path, tmp_path: Path
) -> None:
    ended = Event()

    def people(_: int) -> list[int]:
        answers = []
        with service.client() as client:
            while not ended.is_set():
                asked = {"prompt": "a green gem", "width": 64, "height": 64}
                answers.append(client.post("/generate", json=asked).status_code)
        return answers

    run = _bulk(plan, tmp_path / "served", service.url)
    with ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(people, number) for number in range(4)]
        try:
            output, errors = run.communicate(timeout=540)
        finally:
            ended.set()
            run.kill()
    assert run.returncode == 0, errors
    assert json.loads(output)["made"] == ASSETS
    statuses = [status for answer in answers for status in answer.result()]
    assert len(statuses) >= 4
    assert set(statuses) == {200}
    served = open_store(*_urls(tmp_path / "served")).catalog
    local = _made_here(plan, tmp_path / "local")
    images = served.images(local)
    assert {key: image.digest for key, image in images.items()} == {
        key: image.digest for key, image in local.items()
    }
    for image in images.values():
        assert image.provenance.environment.service == service.url.removeprefix("http://")
        assert image.provenance.engine is not None
        assert image.provenance.engine.mode == "exact"
    metrics = _metrics(service)
    assert 'atelier_bulk_calls_total{model="starter-icons/1",outcome="answered"' in metrics


def _made_here(plan: Path, home: Path) -> dict[str, GeneratedImage]:
    """What a worker's own model makes of the plan, by key; no Ray is needed for that."""
    settings, models = Settings(home=home), bundled_models()
    store = open_store(*_urls(home))
    specs = list(expand(read_plan(plan), models))
    model = models["starter"]
    route = Route(backend=model.backend, model=model, reason="the plan names it")
    generator = Generator(route, open_renderer(route, settings, store), store, "local")
    outcomes = generator.generate([spec.request for spec in specs])
    return {outcome.image.key: outcome.image for outcome in outcomes if outcome.image is not None}


def test_a_run_that_goes_away_frees_the_rows_it_had(service: Service, plan: Path) -> None:
    model = bundled_models()["starter"]
    route = Route(backend=model.backend, model=model, reason="the plan names it")
    asking = ServiceBackend(route, service.url, None, mode="exact", timeout_seconds=300)
    spec = next(expand(read_plan(plan), bundled_models()))
    short = spec.request
    long = [short.replace(num_inference_steps=100, seed=seed) for seed in range(5)]
    outcomes = asking.generate([short, *long])
    next(outcomes)
    before = service.state()
    assert before["bulk_in_flight"] > 0
    outcomes.close()  # type: ignore[attr-defined]
    while service.state()["in_flight"]:
        sleep(0.05)
    assert service.state()["row_steps"] - before["row_steps"] < 5 * 2 * 100


@pytest.mark.parametrize(
    ("model", "url", "message"),
    [
        ("polish", "", "does not serve starter-polish/1"),
        ("starter", "http://127.0.0.1:1", "does not answer as a service of Atelier"),
    ],
)
def test_another_version_or_no_service_is_refused_before_any_work(
    service: Service, tmp_path: Path, model: str, url: str, message: str
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(json.dumps(PLAN | {"model": model}))
    run = _bulk(plan, tmp_path / "home", url or service.url)
    answer, errors = run.communicate(timeout=300)
    assert run.returncode == 2, errors
    assert message in json.loads(answer)["message"]


def _urls(home: Path) -> tuple[str, str]:
    settings = Settings(home=home)
    return settings.blobs, settings.catalog


def _metrics(service: Service) -> str:
    with service.client() as client:
        text: str = client.get("/metrics").text
        return text
