"""Top: the runs under way and the results of their models, from the catalog alone.

A frame costs the same number of queries however large the catalog is. Only a run that is new is
read in more detail, once: how many assets it has and how long it was expected to take.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import computed_field

from app.errors import AtelierError
from app.fleet.prices import Budgets, budgets
from app.monitor.alerts import Alert, budget_alert, model_alerts, stalled_alert
from app.monitor.watch import PACE_SECONDS, watch_run
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.ledger import AttemptEnding
from app.store.statistics import FAILURE_ENDINGS, OpenRun, Statistics, StatisticsReader, usd
from app.types import Status, Value

STALE_SECONDS = 24 * 3600.0
"""A run without news for this long does not count as under way."""


class ModelProgress(Value):
    """One model's results in a run."""

    model: str
    images: int
    images_per_minute: float
    failed: int
    lost: int
    accepted: int
    review: int
    rejected: int
    gave_up: int
    """Assets that failed: no image was made at all."""
    seconds: float
    cost_usd: float


class RuleHitCount(Value):
    """How often a check's rule was broken by a model's images."""

    model: str
    measure: str
    verdict: str
    times: int


class ActiveRun(Value):
    """One run in one frame."""

    run_id: str
    plan: str
    seconds: float
    """Since it began."""
    still_seconds: float
    """Since it booked its last attempt."""
    asked: int | None
    """Assets of its plan; None where the run has no plan to read."""
    images: int
    decided: int
    """By this run; existing assets are only counted in `asked`."""
    attempts_under_way: int
    cost_usd: float
    left_seconds: float | None
    """By its estimate at the present rate; None where there is none."""
    models: tuple[ModelProgress, ...]
    rules: tuple[RuleHitCount, ...]


class BudgetLeft(Value):
    """One budget that is set for days or teams."""

    name: str
    cap_usd: float
    spent_usd: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def left_usd(self) -> float:
        """Returns what may still be spent; negative when more was spent."""
        return round(self.cap_usd - self.spent_usd, 9)


class Frame(Value):
    """Everything at one moment."""

    at: str
    runs: tuple[ActiveRun, ...]
    budgets: tuple[BudgetLeft, ...]
    alerts: tuple[Alert, ...]


@dataclass(slots=True)
class _Pace:
    """Images over the last minute, or over the part of it that was observed."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def of(self, at: float, images: int, *, since: float) -> float:
        """Returns images per second; before half a minute was observed, the mean since `since`."""
        self.seen.append((at, images))
        while at - self.seen[0][0] > PACE_SECONDS:
            self.seen.popleft()
        then, had = self.seen[0]
        if at - then >= PACE_SECONDS / 2:
            return (images - had) / (at - then)
        return images / (at - since) if at > since else 0.0


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """The estimate of a run when it was first seen."""

    asked: int | None
    images: float | None
    """Expected for the whole run."""


class TopReader:
    """Reads frames of a catalog; `outset` returns what is known of a new run."""

    def __init__(
        self, catalog: Catalog, caps: Budgets, outset: Callable[[OpenRun], RunEstimate]
    ) -> None:
        self._books = StatisticsReader(catalog, by_run=True)
        self._caps, self._outset = caps, outset
        self._outsets: dict[str, RunEstimate] = {}
        self._paces: dict[tuple[str, str], _Pace] = {}

    def frame(self) -> Frame:
        """Returns what is under way now. Raises CatalogError when the database fails."""
        statistics = self._books.read()
        runs = tuple(self._run(run, statistics) for run in statistics.runs)
        heard = tuple(run for run in runs if run.still_seconds < STALE_SECONDS)
        budgets = _budgets(statistics, self._caps)
        moment = datetime.fromtimestamp(statistics.at, UTC).isoformat(timespec="seconds")
        return Frame(
            at=moment, runs=heard, budgets=budgets, alerts=_alerts(statistics, heard, budgets)
        )

    def _run(self, run: OpenRun, statistics: Statistics) -> ActiveRun:
        if run.run_id not in self._outsets:
            self._outsets[run.run_id] = self._outset(run)
        outset, began = self._outsets[run.run_id], _seconds(run.started_at)
        tried = [attempt for attempt in statistics.tried if attempt.run_id == run.run_id]
        decided = [decision for decision in statistics.decided if decision.run_id == run.run_id]
        names = sorted(
            {attempt.model for attempt in tried} | {decision.model for decision in decided}
        )
        models = tuple(self._model_progress(run, name, statistics, began) for name in names)
        images = sum(model.images for model in models)
        latest = max((_seconds(attempt.latest) for attempt in tried), default=began)
        pace = self._pace(run.run_id, "", statistics.at, images, began)
        expected = None if outset.images is None else max(outset.images - images, 0.0)
        return ActiveRun(
            run_id=run.run_id,
            plan=run.plan,
            seconds=round(max(statistics.at - began, 0), 1),
            still_seconds=round(max(statistics.at - latest, 0), 1),
            asked=outset.asked,
            images=images,
            decided=sum(decision.assets for decision in decided),
            attempts_under_way=sum(
                active.attempts for active in statistics.under_way if active.run_id == run.run_id
            ),
            cost_usd=usd(sum(attempt.nano_usd for attempt in tried)),
            left_seconds=round(expected / pace, 1) if expected is not None and pace else None,
            models=models,
            rules=_rules(run.run_id, statistics),
        )

    def _model_progress(
        self, run: OpenRun, model: str, statistics: Statistics, began: float
    ) -> ModelProgress:
        mine = [
            attempt
            for attempt in statistics.tried
            if (attempt.run_id, attempt.model) == (run.run_id, model)
        ]
        counts = {
            decision.status: decision.assets
            for decision in statistics.decided
            if (decision.run_id, decision.model) == (run.run_id, model)
        }
        images = sum(attempt.attempts for attempt in mine if attempt.ending not in FAILURE_ENDINGS)
        pace = self._pace(run.run_id, model, statistics.at, images, began)
        return ModelProgress(
            model=model,
            images=images,
            images_per_minute=round(pace * 60, 1),
            failed=sum(
                attempt.attempts for attempt in mine if attempt.ending == AttemptEnding.FAILED
            ),
            lost=sum(attempt.attempts for attempt in mine if attempt.ending == AttemptEnding.LOST),
            accepted=counts.get(Status.ACCEPTED, 0),
            review=counts.get(Status.REVIEW, 0),
            rejected=counts.get(Status.REJECTED, 0),
            gave_up=counts.get(Status.FAILED, 0),
            seconds=round(sum(attempt.seconds for attempt in mine), 3),
            cost_usd=usd(sum(attempt.nano_usd for attempt in mine)),
        )

    def _pace(self, run_id: str, model: str, at: float, images: int, began: float) -> float:
        return self._paces.setdefault((run_id, model), _Pace()).of(at, images, since=began)


def open_top(settings: Settings) -> TopReader:
    """Opens this catalog for reading frames.

    Raises CatalogError, and InvalidRequest for an invalid budget file.
    """

    def outset(run: OpenRun) -> RunEstimate:
        try:
            watched = watch_run(run.run_id, settings)
        except (AtelierError, ValueError):
            # Kept previews and benchmarks begin runs without a plan, and a plan's models may be
            # known only on another machine: the rest of the frame does not need them.
            return RunEstimate(None, None)
        return RunEstimate(watched.asked, watched.expected)

    return TopReader(Catalog.open(settings.catalog), budgets(settings), outset)


def _rules(run_id: str, statistics: Statistics) -> tuple[RuleHitCount, ...]:
    spoke = sorted(
        (hit for hit in statistics.spoke if hit.run_id == run_id), key=lambda hit: -hit.times
    )
    return tuple(
        RuleHitCount(model=hit.model, measure=hit.measure, verdict=hit.verdict, times=hit.times)
        for hit in spoke
    )


def _budgets(statistics: Statistics, caps: Budgets) -> tuple[BudgetLeft, ...]:
    days = [spending.nano_usd for spending in statistics.purses if spending.scope == "day"]
    teams = {
        spending.name: spending.nano_usd
        for spending in statistics.purses
        if spending.scope == "team"
    }
    day = [("the day", caps.day, sum(days))] if caps.day is not None else []
    named = [(f"team {name}", cap, teams.get(name, 0)) for name, cap in caps.teams.items()]
    return tuple(
        BudgetLeft(name=name, cap_usd=cap, spent_usd=usd(spent)) for name, cap, spent in day + named
    )


def _alerts(
    statistics: Statistics, runs: tuple[ActiveRun, ...], budgets: tuple[BudgetLeft, ...]
) -> tuple[Alert, ...]:
    busy = {model.model for run in runs for model in run.models}
    alerts: list[Alert | None] = [
        alert
        for outcomes in statistics.lately
        if outcomes.model in busy
        for alert in model_alerts(
            outcomes.model,
            failures=outcomes.failures,
            seconds=outcomes.seconds,
            acceptances=outcomes.acceptances,
        )
    ]
    alerts += [
        budget_alert(budget.name, spent_usd=budget.spent_usd, cap_usd=budget.cap_usd)
        for budget in budgets
    ]
    alerts += [stalled_alert(run.run_id, still_seconds=run.still_seconds) for run in runs]
    return tuple(alert for alert in alerts if alert is not None)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
