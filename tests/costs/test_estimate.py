"""Estimates: what they know, how wide they are, and that most runs end inside the band."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from app.costs.estimate import MIN_SAMPLES, Estimate, Estimator
from app.fleet.prices import Price, PriceSheet
from app.generate.terms import ASSUMED_SECONDS, max_attempt_seconds
from app.models.bundled import ECHO
from app.store import database, ledger
from app.store.costs import AttemptTime
from app.store.ledger import Account, Attempt, AttemptCost, AttemptEnding
from app.store.publish import Store, open_store, publish_assets
from app.types import AssetRecord, Status, version_of
from tests.values import ROUTE, spec_with

MODELS = {"echo": ECHO}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


def past(store: Store, seconds: Sequence[float], rounds: Sequence[int]) -> None:
    """What echo did before: images that took so long, assets that took so many rounds of two."""
    account = Account(model="echo/1")
    booked = [
        Attempt(f"{n}", "past", 1, account, AttemptEnding.MADE, AttemptCost(duration))
        for n, duration in enumerate(seconds)
    ]
    store.catalog.write(
        lambda connection: ledger.book_attempts(connection, booked, database.clock(connection)),
        names=(),
    )
    records = [(rejected(number, 2 * round_count), ()) for number, round_count in enumerate(rounds)]
    publish_assets(store, records)


def rejected(number: int, attempts: int) -> AssetRecord:
    spec = spec_with(name=f"old-{number}", candidates=2, attempts=20)
    key = ROUTE.key(spec.digest)
    return AssetRecord(
        key=key, name=spec.name, version=version_of(key), status=Status.REJECTED, spec=spec,
        model="echo/1", report=None, reasons=("no",), image=None, asset=None, provenance=None,
        attempts=attempts, run_id="past",
    )  # fmt: skip


def estimate(store: Store, number: int, price: Price) -> Estimate | None:
    forecast = Estimator(MODELS, store.catalog, PriceSheet(models={"echo": price}))
    forecast.add_all(
        spec_with(name=f"new-{index}", candidates=2, attempts=6) for index in range(number)
    )
    return forecast.estimate()


def test_without_any_history_there_is_no_estimate(store: Store) -> None:
    assert estimate(store, 3, Price(call=1)) is None
    past(store, [1.0] * (MIN_SAMPLES - 1), [])
    assert estimate(store, 3, Price(call=1)) is None


def test_before_any_decision_the_band_goes_from_first_candidates_to_last_attempts(
    store: Store,
) -> None:
    past(store, [2.0] * 10, [])
    result = estimate(store, 5, Price(cpu_second=0.5, call=0.25))
    assert result is not None
    assert (result.images.low, result.images.expected, result.images.high) == (10, 10, 30)
    assert (result.seconds.low, result.seconds.high) == (20, 60)
    assert (result.cost_usd.low, result.cost_usd.high) == (12.5, 37.5)
    assert "few assets are decided yet" in result.basis[0]


def test_a_steady_past_gives_a_narrow_band(store: Store) -> None:
    past(store, [2.0] * 10, [2] * 10)
    result = estimate(store, 5, Price(cpu_second=1.0))
    assert result is not None
    assert (result.images.low, result.images.high) == (20, 20)
    assert result.cost_usd.low == result.cost_usd.expected == result.cost_usd.high == 40
    assert 40 + 1e-7 in result.cost_usd  # sums of floats, taken in another order
    assert 40.1 not in result.cost_usd


def test_a_version_that_declares_its_seconds_needs_no_past(store: Store) -> None:
    model = ECHO.replace(seconds_per_image=3.0)
    forecast = Estimator({"echo": model}, store.catalog, PriceSheet(cpu_second=1.0))
    forecast.add_all([spec_with()])
    estimate = forecast.estimate()
    assert estimate is not None
    assert estimate.seconds.expected == 6
    assert "as its version declares" in estimate.basis[0]


def test_most_runs_end_inside_the_band(store: Store) -> None:
    """The past and every run are drawn alike: 19 of 20 are promised, and chance has some room."""
    rng = Random(5)
    past(store, [seconds(rng) for _ in range(100)], [rounds(rng) for _ in range(100)])
    result = estimate(store, 40, Price(cpu_second=0.01))
    assert result is not None
    inside = sum(cost(rng, 40) in result.cost_usd for _ in range(400))
    assert inside >= 340
    assert result.cost_usd.high < 1.5 * result.cost_usd.expected


def seconds(rng: Random) -> float:
    return rng.uniform(0.5, 1.5)


def rounds(rng: Random) -> int:
    return rng.choice((1, 1, 1, 2, 3))


def cost(rng: Random, assets: int) -> float:
    images = sum(2 * rounds(rng) for _ in range(assets))
    return sum(0.01 * seconds(rng) for _ in range(images))


def test_how_long_an_attempt_may_last_is_declared_measured_or_assumed() -> None:
    many = [AttemptTime(seconds=float(number), gpu=False) for number in range(1, 9)]
    declared = ECHO.replace(seconds_per_image=0.5)
    assert max_attempt_seconds(declared, Price(at_most_seconds=7), many) == 7
    assert max_attempt_seconds(declared, Price(), many) == 16
    assert max_attempt_seconds(declared, Price(), many[:2]) == 2
    assert max_attempt_seconds(ECHO, Price(), []) == ASSUMED_SECONDS
