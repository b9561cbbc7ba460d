"""A plan keeps to what was known at its first run, and finds every attempt it has made."""

from pathlib import Path

import pytest
from rich.console import Console

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.cli.render.assets import show_asset
from app.digest import digest
from app.flow.complete import complete
from app.flow.decide import decide
from app.flow.examine import examine
from app.flow.make import make
from app.flow.prepare import prepare
from app.generate.generate import Generator
from app.models.bundled import ECHO
from app.plan.schema import Plan
from app.refine.attempts import Refiner
from app.refine.changes import MAX_COST_FACTOR
from app.refine.statistics import load_statistics
from app.route.stages import next_requests
from app.settings import Settings
from app.store.publish import Store, open_store, publish_assets
from app.store.run_statistics import latest_retries
from app.types import AssetRecord, AssetSpec, Measure, Refine, Rule, Status
from app.types.candidate import DecidedAsset
from jobs.runtime.progress import RunProgress
from jobs.runtime.run import start_run
from tests.values import ROUTE, spec_with

NEVER = Rule(check=Measure.CONTRAST, at_least=0.5)
PLAN = digest("a plan")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


def generator_of(store: Store) -> Generator:
    return Generator(route=ROUTE, backend=EchoBackend(), store=store, owner="run-1")


def spec_of(name: str, *, attempts: int = 4) -> AssetSpec:
    spec = spec_with(NEVER, name=name, candidates=1, attempts=attempts)
    return spec.replace(refine=Refine.REASON)


def refiner_of(store: Store, plan: str = PLAN) -> Refiner:
    return Refiner(load_statistics(store.catalog, plan), {"echo": ECHO})


def made(store: Store, name: str, plan: str = PLAN) -> AssetRecord:
    return make(spec_of(name), generator_of(store), None, Neighbours(), refiner_of(store, plan))


def test_the_record_names_each_attempts_parent_and_change(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    record = made(store, "gem.red")
    assert (record.status, record.attempts, len(record.retries)) == (Status.REJECTED, 4, 3)
    assert (
        store.catalog.asset("gem.red").retries
        == record.retries
        == tuple(latest_retries(store.catalog))
    )
    first = record.retries[0]
    assert first.parent is not None
    assert (first.after, first.passed) == ((Measure.CONTRAST,), False)
    assert store.blobs.has(first.parent)
    show_asset(record)
    assert f"{first.change} changed on {first.parent[:12]}" in capsys.readouterr().out


def test_a_plan_keeps_to_its_first_experience_and_another_one_learns(store: Store) -> None:
    assert load_statistics(store.catalog, PLAN).retries == 0
    for number in range(3):
        made(store, f"gem.{number}")
    assert load_statistics(store.catalog, PLAN).retries == 0
    later = load_statistics(store.catalog, digest("another plan"))
    assert later.retries == 9
    assert all(tally.passed == 0 for tally in later.tallies)


def test_a_stopped_plan_finds_its_attempts_though_more_was_learned_since(store: Store) -> None:
    spec, generator = spec_of("stopped"), generator_of(store)
    candidates = []
    for _ in range(3):  # killed before the fourth
        requests = next_requests(spec, (), candidates, refiner_of(store))
        candidates += examine(generator.generate(requests), spec, store, None)
    for number in range(8):
        made(store, f"gem.{number}", plan=digest("another plan"))
    anew = []
    for _ in range(4):
        requests = next_requests(spec, (), anew, refiner_of(store))
        anew += examine(generator_of(store).generate(requests), spec, store, None)
    assert [candidate.outcome.made for candidate in anew] == [False, False, False, True]
    decision = decide(spec, anew, Neighbours())
    decided = DecidedAsset(
        key=ROUTE.key(spec.digest), spec=spec, decision=decision, attempts=len(anew)
    )
    (record,) = publish_assets(store, [complete(decided, ROUTE, store, run_id="r")])
    assert record.status is Status.REJECTED


def test_refining_by_reason_is_another_asset_and_by_seed_the_same_as_ever() -> None:
    spec = spec_of("gem").replace(refine=Refine.SEED)
    plain = spec.model_dump(
        mode="json", exclude={"request": {"tier", "tags"}, "refine": True, "brand": True}
    )
    assert spec.digest == digest(plain)
    assert spec.replace(refine=Refine.REASON).digest != spec.digest


def test_money_is_set_aside_for_the_dearest_attempt(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    plans = [
        Plan.model_validate(
            {
                "atelier": 1, "name": "money", "model": "echo", "defaults": {"refine": refine},
                "assets": [
                    {"name": "gem", "kind": "icon", "prompt": "a gem",
                     "sizes": [{"width": 64, "height": 64}]},
                ],
            }
        )
        for refine in Refine
    ]  # fmt: skip
    seed, reason = (
        start_run(prepare(plan, settings), settings, RunProgress(Console(quiet=True)))
        for plan in plans
    )
    assert (seed.decisions.refiner, reason.decisions.refiner is None) == (None, False)
    longest = seed.terms["echo/1"].most_seconds
    assert reason.terms["echo/1"].most_seconds == pytest.approx(MAX_COST_FACTOR * longest)
