"""GET /metrics: what was called is counted, and what was booked is what `atelier costs` says."""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.api.keys import KeyOwner, KeyRing
from app.api.requests import ImagesRequest
from app.digest import digest_bytes
from app.settings import Settings
from app.store.ledger import Account, AttemptCost
from app.store.publish import Store, claim, open_store, publish_assets, publish_images, release
from app.types import CostGroup, Status
from deployments.calls.admission import Call
from deployments.http.app import create_app
from deployments.http.auth import AuthMiddleware
from deployments.monitoring import metrics
from deployments.monitoring.call_log import CallRecord
from deployments.monitoring.metrics import Metrics, MetricSpec
from deployments.monitoring.scrape import FRESH_SECONDS, MetricsPage
from tests.deployments.replica.test_engine_worker import Clock
from tests.deployments.workers import LIMITS, authenticated, run, three_roles
from tests.store.values import agreement_spoke, image_of, key_of, record_of

IMAGES = "/v1/images/generations"
KEYS = KeyRing(owners={digest_bytes(b"secret"): KeyOwner(name="anna", team="team-a")})
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, declared: MetricSpec | str, **labels: str) -> float:
    """The sum of a metric's samples that bear these labels."""
    name = declared if isinstance(declared, str) else declared.name
    return sum(
        number
        for (sample_name, label_pairs), number in samples.items()
        if sample_name == name and labels.items() <= dict(label_pairs).items()
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text(yaml.safe_dump({"day": 10, "teams": {"art": 3, "games": 1}}))
    return Settings(home=tmp_path / "home", budgets=budgets)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings.blobs, settings.catalog)


def attempt(store: Store, seed: int, *, team: str, model: str, usd: float | None) -> None:
    """One attempt that came to an image, or to nothing where it cost None."""
    key = key_of(seed)
    account = Account(who="ann", plan="icons", team=team, model=model, most_usd=0.5)
    claim(store, [key], owner="run", seconds=60, accounts={key: account})
    if usd is None:
        release(store, [key], owner="run", took={key: AttemptCost(seconds=0.3, usd=0.01)})
        return
    data = b"image %d" % seed
    image = image_of(seed, data, model=model).replace(cost_usd=usd)
    publish_images(store, [(image, data)], owner="run")


async def scraped(scrape: MetricsPage) -> Samples:
    return samples((await scrape.text()).decode())


def test_what_is_booked_is_exactly_what_the_costs_by_model_say(
    settings: Settings, store: Store
) -> None:
    clock = Clock()
    scrape = MetricsPage(Metrics(), settings, clock=clock)

    def agrees(samples: Samples) -> None:
        costs = store.catalog.costs(CostGroup.MODEL)
        for cost in costs.groups:
            of = {"model": cost.name}
            endings = {
                ending: value(samples, metrics.IMAGES, ending=ending, **of)
                for ending in ("made", "second", "failed", "lost")
            }
            assert endings["made"] + endings["second"] == cost.made
            assert (endings["failed"], endings["lost"]) == (cost.failed, cost.lost)
            assert sum(endings.values()) == cost.attempts
            assert round(value(samples, metrics.COST, **of) * 1e9) == cost.nano_usd
            assert round(value(samples, metrics.GENERATION_SECONDS, **of), 6) == cost.seconds
        assert value(samples, metrics.IMAGES) == costs.total.attempts

    async def story() -> None:
        agrees(await scraped(scrape))
        for seed in range(12):
            team, model = ("art", "games")[seed % 2], f"model/{seed % 3}"
            attempt(store, seed, team=team, model=model, usd=None if seed % 5 == 4 else 0.1)
            clock.now += FRESH_SECONDS
            agrees(await scraped(scrape))

    run(story)


def test_verdicts_retries_runs_and_budgets_are_told(settings: Settings, store: Store) -> None:
    attempt(store, 1, team="art", model="model/1", usd=None)
    attempt(store, 1, team="art", model="model/1", usd=0.25)
    claim(store, [key_of(2)], owner="run", seconds=0, accounts={key_of(2): Account(model="m/1")})
    claim(store, [key_of(2)], owner="run", seconds=60, accounts={key_of(2): Account(model="m/1")})
    claim(store, [key_of(4)], owner="dead", seconds=0)
    claim(store, [key_of(4)], owner="run", seconds=60)
    again = image_of(4, b"image 4")
    again = again.replace(provenance=again.provenance.replace(attempt=2))
    publish_images(store, [(again, b"image 4")], owner="run")
    image = image_of(3, b"image 3")
    publish_images(store, [(image, b"image 3")], owner="run")
    rejected = record_of(image, None, status=Status.REJECTED, findings=(agreement_spoke(),))
    publish_assets(store, [(rejected, [])])

    async def story() -> None:
        values = await scraped(MetricsPage(Metrics(), settings))
        assert value(values, metrics.CATALOG_UP) == 1
        assert value(values, metrics.RETRIES) == 1
        assert value(values, metrics.IN_FLIGHT, **{"class": "bulk", "model": "m/1"}) == 1
        assert value(values, metrics.ASSETS, model="starter/1", status="rejected") == 1
        spoke = {"model": "starter/1", "measure": "agreement", "verdict": "retry"}
        assert value(values, metrics.FINDINGS, **spoke) == 1
        assert value(values, metrics.BUDGET, scope="day", name="day") == 10
        assert value(values, metrics.BUDGET_LEFT, scope="day", name="day") == 10 - 0.26
        assert value(values, metrics.BUDGET_LEFT, scope="team", name="art") == 3 - 0.26
        assert value(values, metrics.BUDGET_LEFT, scope="team", name="games") == 1

    run(story)


def test_a_catalog_that_does_not_answer_costs_only_its_own_metrics(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"no database")
    meters = Metrics()
    meters.previews.labels("draft", "tiny/1").inc()

    async def story() -> None:
        values = await scraped(MetricsPage(meters, Settings(home=tmp_path)))
        assert value(values, metrics.CATALOG_UP) == 0
        assert value(values, metrics.PREVIEWS, role="draft") == 1
        assert not [name for name, _ in values if name == metrics.IMAGES.name]

    run(story)


def test_a_faulty_file_of_budgets_costs_only_the_budgets(tmp_path: Path) -> None:
    (tmp_path / "budgets.yaml").write_text("day: much")

    async def story() -> None:
        settings = Settings(home=tmp_path, budgets=tmp_path / "budgets.yaml")
        values = await scraped(MetricsPage(Metrics(), settings))
        assert value(values, metrics.CATALOG_UP) == 1
        assert not [name for name, _ in values if name == metrics.BUDGET.name]

    run(story)


def test_many_who_ask_at_once_cost_one_look(settings: Settings, store: Store) -> None:
    async def story() -> None:
        scrape = MetricsPage(Metrics(), settings, clock=Clock())
        first = await scrape.text()
        attempt(store, 1, team="art", model="model/1", usd=0.1)
        assert await scrape.text() == first

    run(story)


@pytest.fixture
def run_story(stock: Any, tmp_path: Path) -> Callable[[Callable[[httpx.AsyncClient], Any]], None]:
    @asynccontextmanager
    async def service() -> AsyncGenerator[httpx.AsyncClient]:
        async with three_roles(stock, tmp_path) as service:
            transport = httpx.ASGITransport(authenticated(service))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                yield client

    def tell(story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async def begun() -> None:
            async with service() as client:
                await story(client)

        run(begun)

    return tell


class LogRecorder(logging.Handler):
    """The lines of a log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(record.getMessage()))


@pytest.fixture
def log_records() -> Iterator[LogRecorder]:
    handler, log = LogRecorder(), logging.getLogger("ray.serve.calls")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_every_call_is_counted_by_how_it_ended(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        asked = {"prompt": "a gem", "model": "tiny", "n": 2, "seed": 1}
        for _ in range(2):
            again = await client.post(IMAGES, json=asked, headers={"Idempotency-Key": "k"})
            assert again.status_code == 200
        assert (await client.post(IMAGES, json=asked | {"model": "nobody"})).status_code == 404
        async with client.stream("POST", IMAGES, json=asked | {"stream": True}) as answer:
            await answer.aread()
        page = await client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=")
        values = samples(page.text)
        here = {"role": "draft", "model": "tiny/1"}
        assert value(values, metrics.REQUESTS, outcome="answered", door=IMAGES, **here) == 3
        assert value(values, metrics.REQUESTS, outcome="model_not_found") == 1
        assert value(values, metrics.PREVIEWS, **here) == 4
        assert value(values, metrics.CACHE_HITS, cache="answers") == 1
        assert value(values, f"{metrics.IMAGE_SECONDS.name}_count", **here) == 4
        assert value(values, f"{metrics.REQUEST_SECONDS.name}_count", role="draft") == 3
        for stage in ("queue", "engine", "encode"):
            name = f"{metrics.STAGE_SECONDS.name}_count"
            assert value(values, name, role="draft", stage=stage) == 4
        assert value(values, metrics.IN_FLIGHT) == value(values, metrics.WAITING) == 0

    run_story(story)


def test_every_name_and_label_that_is_given_is_declared(run_story: Any) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await client.post(IMAGES, json={"prompt": "a gem", "model": "tiny"})
        text = (await client.get("/metrics")).text
        declared = {spec.name: spec for spec in metrics.ALL}
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert (family.type, family.documentation) == (
                declared[name].kind,
                declared[name].help,
            )
            for sample in family.samples:
                assert sample.labels.keys() - {"le"} == set(declared[name].labels)

    run_story(story)


def test_a_call_is_followed_by_its_id_from_the_endpoint_to_the_engines_ticket(
    run_story: Any, log_records: LogRecorder
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        asked = {"prompt": "a gem", "model": "tiny", "n": 2, "seed": 1}
        named = await client.post(IMAGES, json=asked, headers={"X-Request-Id": "order-7"})
        plain = await client.post(IMAGES, json=asked)
        assert [image["b64_json"] for image in named.json()["data"]] == [
            image["b64_json"] for image in plain.json()["data"]
        ]
        await client.post(IMAGES, json=asked | {"model": "nobody"})
        *painted, call = [line for line in log_records.lines if line["call"] == "order-7"]
        assert [line["ending"] for line in painted] == ["made", "made"]
        assert len({line["ticket"] for line in painted}) == 2
        assert {line["request"] for line in painted} == set(call["requests"])
        assert (call["outcome"], call["role"], call["model"]) == ("answered", "draft", "tiny/1")
        assert set(call["ms"]) == {"route", "queue", "engine", "encode", "total"}
        assert log_records.lines[-1]["outcome"] == "model_not_found"
        calls = {line["call"] for line in log_records.lines}
        assert len(calls) == 3

    run_story(story)


def test_a_caller_who_goes_away_has_left(
    stock: Any, tmp_path: Path, log_records: LogRecorder
) -> None:
    async def story() -> None:
        async with three_roles(stock, tmp_path) as service:
            body = ImagesRequest(prompt="a gem", model="tiny", stream=True, partial_images=3)
            call = Call(record=CallRecord.begin("order-8", IMAGES))
            events = service.calls.render(body, call)
            await anext(events)
            before = await scraped(service.metrics)
            await events.aclose()
            after = await scraped(service.metrics)
            assert (value(before, metrics.IN_FLIGHT), value(after, metrics.IN_FLIGHT)) == (1, 0)
            assert value(after, metrics.REQUESTS, outcome="left") == 1

    run(story)
    assert [line["outcome"] for line in log_records.lines if "outcome" in line] == ["left"]


def test_where_keys_exist_the_metrics_ask_for_one(stock: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with three_roles(stock, tmp_path) as service:
            app = AuthMiddleware(create_app(service, KEYS), limits=LIMITS, keys=KEYS)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                assert (await client.get("/metrics")).status_code == 401
                key = {"Authorization": "Bearer secret"}
                assert (await client.get("/metrics", headers=key)).status_code == 200

    run(story)
