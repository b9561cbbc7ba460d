"""Report: throughput, errors, cost and delivery times of runs, from the ledger and the catalog.

It also lists what was refused, by rule, model and day. It covers one run, or the latest runs and
their totals.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.store.catalog import Catalog, RunRecord
from app.store.run_statistics import (
    DeliveryMoments,
    RefusalCount,
    RunAttempts,
    delivery_moments,
    refusal_counts,
    run_attempts,
)
from app.types import Value

LATEST = 20


class DeliveryTimes(Value):
    """Seconds from a run's start until its assets were in the catalog."""

    half: float | None
    """For half of them; None where the run decided none."""
    most: float | None
    """For 95% of them."""
    last: float | None


class RunFigures(Value):
    """One run's figures; None where nothing is known yet."""

    run_id: str
    plan: str
    began_at: str
    seconds: float
    """From its start to its end, or until now."""
    images: int
    assets: int
    images_per_hour: float | None
    error_percent: float | None
    """Of its attempts, those without an image."""
    usd_per_image: float | None
    delivery: DeliveryTimes


class TotalFigures(Value):
    """The totals of all listed runs; the rate is per hour in which they were under way."""

    images: int
    images_per_hour: float | None
    error_percent: float | None
    usd_per_image: float | None
    delivery_seconds: float | None
    """Until half of a run's assets were there: the mean over the runs, weighted by assets."""


class Report(Value):
    """One page."""

    runs: tuple[RunFigures, ...]
    together: TotalFigures
    refused: tuple[RefusalCount, ...]
    """The newest day first, within it the most frequent first."""


def report(catalog: Catalog, run_id: str | None = None, *, since: str = "") -> Report:
    """Returns the report of one run, or of the latest that began at `since` or later.

    `since` is in ISO 8601; a beginning of it, such as the date, suffices. Raises CatalogError for
    an unknown run.
    """
    runs = [catalog.run(run_id)] if run_id else _latest(catalog, since)
    ids = [run.run_id for run in runs]
    took = catalog.read(lambda connection: run_attempts(connection, ids))
    stood = {run.run_id: _delivered(catalog, run.run_id) for run in runs}
    now = datetime.now(UTC)
    figures = tuple(
        _figures(run, took.get(run.run_id, RunAttempts()), stood[run.run_id], now) for run in runs
    )
    return Report(
        runs=figures,
        together=_total(figures, [took.get(run_id, RunAttempts()) for run_id in ids]),
        refused=tuple(catalog.read(lambda connection: refusal_counts(connection, ids))),
    )


def _latest(catalog: Catalog, since: str) -> list[RunRecord]:
    return [run for run in catalog.runs(limit=LATEST) if run.started_at >= since]


def _delivered(catalog: Catalog, run_id: str) -> DeliveryMoments:
    return catalog.read(lambda connection: delivery_moments(connection, run_id))


def _figures(
    run: RunRecord, took: RunAttempts, stood: DeliveryMoments, now: datetime
) -> RunFigures:
    began = datetime.fromisoformat(run.started_at)
    ended = datetime.fromisoformat(run.ended_at) if run.ended_at else now
    seconds = max((ended - began).total_seconds(), 0.0)
    return RunFigures(
        run_id=run.run_id,
        plan=run.plan,
        began_at=run.started_at,
        seconds=round(seconds, 3),
        images=took.made,
        assets=stood.assets,
        images_per_hour=_share(took.made * 3600, seconds),
        error_percent=_share(100 * (took.attempts - took.made), took.attempts),
        usd_per_image=_share(took.usd, took.made),
        delivery=DeliveryTimes(
            half=_after(began, stood.half_at),
            most=_after(began, stood.most_at),
            last=_after(began, stood.last_at),
        ),
    )


def _total(figures: Sequence[RunFigures], took: Sequence[RunAttempts]) -> TotalFigures:
    made, attempts = sum(run.made for run in took), sum(run.attempts for run in took)
    known = [(run.assets, run.delivery.half) for run in figures if run.delivery.half is not None]
    return TotalFigures(
        images=made,
        images_per_hour=_share(3600 * made, sum(run.seconds for run in figures)),
        error_percent=_share(100 * (attempts - made), attempts),
        usd_per_image=_share(sum(run.usd for run in took), made),
        delivery_seconds=_share(
            sum(assets * half for assets, half in known), sum(assets for assets, _ in known)
        ),
    )


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 9) if whole else None


def _after(began: datetime, moment: str | None) -> float | None:
    if moment is None:
        return None
    return round((datetime.fromisoformat(moment) - began).total_seconds(), 3)
