"""Top: the runs under way at this moment, from the catalog alone, and how their models do.

A frame costs the same number of queries however large the catalog is; only a run that appears is
looked at more closely, once, for how much it was asked and how long it was expected to take.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import computed_field

from app.errors import AtelierError
from app.fleet.prices import Budgets, budgets
from app.monitor.alerts import Alert, budget_alert, model_alerts, stalled_alert
from app.monitor.watch import PACE_SECONDS, watch
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.ledger import Ending
from app.store.statistics import FAILING, Bookkeeper, Books, OpenRun, usd
from app.types import Status, Value

FORGOTTEN_SECONDS = 24 * 3600.0
"""A run of which nothing was heard for so long is not under way."""


class ModelMakes(Value):
    """What one model came to in a run."""

    model: str
    images: int
    images_per_minute: float
    failed: int
    lost: int
    accepted: int
    review: int
    rejected: int
    gave_up: int
    """Assets that failed: no image came at all."""
    seconds: float
    cost_usd: float


class RuleSpoke(Value):
    """How often a check's rule spoke against what a model made."""

    model: str
    measure: str
    verdict: str
    times: int


class RunUnderWay(Value):
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
    """By this run; what stood before it is only among what was asked."""
    attempts_under_way: int
    cost_usd: float
    left_seconds: float | None
    """By its estimate at the present pace; None where there is none."""
    models: tuple[ModelMakes, ...]
    rules: tuple[RuleSpoke, ...]


class BudgetLeft(Value):
    """One budget that is set for days or teams."""

    name: str
    cap_usd: float
    spent_usd: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def left_usd(self) -> float:
        """What may still be spent; less than nothing when more was."""
        return round(self.cap_usd - self.spent_usd, 9)


class Frame(Value):
    """Everything at one moment."""

    at: str
    runs: tuple[RunUnderWay, ...]
    budgets: tuple[BudgetLeft, ...]
    alerts: tuple[Alert, ...]


@dataclass(slots=True)
class _Pace:
    """Images over the last minute, or over what was seen of it."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def of(self, at: float, images: int, *, since: float) -> float:
        """Images a second; before two looks are far enough apart, that since `since`."""
        self.seen.append((at, images))
        while at - self.seen[0][0] > PACE_SECONDS:
            self.seen.popleft()
        then, had = self.seen[0]
        if at - then >= PACE_SECONDS / 2:
            return (images - had) / (at - then)
        return images / (at - since) if at > since else 0.0


@dataclass(frozen=True, slots=True)
class Outset:
    """What was known of a run when it was first seen."""

    asked: int | None
    images: float | None
    """Expected of the whole run."""


class Top:
    """Looks at a catalog again and again; `outset` says what a run was asked."""

    def __init__(
        self, catalog: Catalog, caps: Budgets, outset: Callable[[OpenRun], Outset]
    ) -> None:
        self._books = Bookkeeper(catalog, by_run=True)
        self._caps, self._outset = caps, outset
        self._outsets: dict[str, Outset] = {}
        self._paces: dict[tuple[str, str], _Pace] = {}

    def frame(self) -> Frame:
        """What is under way now. Raises CatalogError when the database fails."""
        books = self._books.look()
        runs = tuple(self._run(run, books) for run in books.runs)
        heard = tuple(run for run in runs if run.still_seconds < FORGOTTEN_SECONDS)
        purses = _purses(books, self._caps)
        moment = datetime.fromtimestamp(books.at, UTC).isoformat(timespec="seconds")
        return Frame(at=moment, runs=heard, budgets=purses, alerts=_alerts(books, heard, purses))

    def _run(self, run: OpenRun, books: Books) -> RunUnderWay:
        if run.run_id not in self._outsets:
            self._outsets[run.run_id] = self._outset(run)
        outset, began = self._outsets[run.run_id], _seconds(run.started_at)
        tried = [one for one in books.tried if one.run_id == run.run_id]
        decided = [one for one in books.decided if one.run_id == run.run_id]
        names = sorted({one.model for one in tried} | {one.model for one in decided})
        models = tuple(self._makes(run, name, books, began) for name in names)
        images = sum(one.images for one in models)
        latest = max((_seconds(one.latest) for one in tried), default=began)
        pace = self._pace(run.run_id, "", books.at, images, began)
        expected = None if outset.images is None else max(outset.images - images, 0.0)
        return RunUnderWay(
            run_id=run.run_id,
            plan=run.plan,
            seconds=round(max(books.at - began, 0), 1),
            still_seconds=round(max(books.at - latest, 0), 1),
            asked=outset.asked,
            images=images,
            decided=sum(one.assets for one in decided),
            attempts_under_way=sum(
                one.attempts for one in books.under_way if one.run_id == run.run_id
            ),
            cost_usd=usd(sum(one.nano_usd for one in tried)),
            left_seconds=round(expected / pace, 1) if expected is not None and pace else None,
            models=models,
            rules=_rules(run.run_id, books),
        )

    def _makes(self, run: OpenRun, model: str, books: Books, began: float) -> ModelMakes:
        mine = [one for one in books.tried if (one.run_id, one.model) == (run.run_id, model)]
        fates = {
            one.status: one.assets
            for one in books.decided
            if (one.run_id, one.model) == (run.run_id, model)
        }
        images = sum(one.attempts for one in mine if one.ending not in FAILING)
        pace = self._pace(run.run_id, model, books.at, images, began)
        return ModelMakes(
            model=model,
            images=images,
            images_per_minute=round(pace * 60, 1),
            failed=sum(one.attempts for one in mine if one.ending == Ending.FAILED),
            lost=sum(one.attempts for one in mine if one.ending == Ending.LOST),
            accepted=fates.get(Status.ACCEPTED, 0),
            review=fates.get(Status.REVIEW, 0),
            rejected=fates.get(Status.REJECTED, 0),
            gave_up=fates.get(Status.FAILED, 0),
            seconds=round(sum(one.seconds for one in mine), 3),
            cost_usd=usd(sum(one.nano_usd for one in mine)),
        )

    def _pace(self, run_id: str, model: str, at: float, images: int, began: float) -> float:
        return self._paces.setdefault((run_id, model), _Pace()).of(at, images, since=began)


def top(settings: Settings) -> Top:
    """Looks at this catalog. Raises CatalogError, and InvalidRequest for a faulty budget file."""

    def outset(run: OpenRun) -> Outset:
        try:
            watched = watch(run.run_id, settings)
        except (AtelierError, ValueError):
            # Kept previews and benches begin runs of something else than a plan, and a plan's
            # models may be known on another machine only: the rest of the frame does without.
            return Outset(None, None)
        return Outset(watched.asked, watched.expected)

    return Top(Catalog.open(settings.catalog), budgets(settings), outset)


def _rules(run_id: str, books: Books) -> tuple[RuleSpoke, ...]:
    spoke = sorted((one for one in books.spoke if one.run_id == run_id), key=lambda one: -one.times)
    return tuple(
        RuleSpoke(model=one.model, measure=one.measure, verdict=one.verdict, times=one.times)
        for one in spoke
    )


def _purses(books: Books, caps: Budgets) -> tuple[BudgetLeft, ...]:
    days = [one.nano_usd for one in books.purses if one.scope == "day"]
    teams = {one.name: one.nano_usd for one in books.purses if one.scope == "team"}
    day = [("the day", caps.day, sum(days))] if caps.day is not None else []
    named = [(f"team {name}", cap, teams.get(name, 0)) for name, cap in caps.teams.items()]
    return tuple(
        BudgetLeft(name=name, cap_usd=cap, spent_usd=usd(spent)) for name, cap, spent in day + named
    )


def _alerts(
    books: Books, runs: tuple[RunUnderWay, ...], purses: tuple[BudgetLeft, ...]
) -> tuple[Alert, ...]:
    busy = {model.model for run in runs for model in run.models}
    found: list[Alert | None] = [
        alert
        for one in books.lately
        if one.model in busy
        for alert in model_alerts(
            one.model,
            failures=one.failures,
            seconds=one.seconds,
            acceptances=one.acceptances,
        )
    ]
    found += [
        budget_alert(one.name, spent_usd=one.spent_usd, cap_usd=one.cap_usd) for one in purses
    ]
    found += [stalled_alert(one.run_id, still_seconds=one.still_seconds) for one in runs]
    return tuple(alert for alert in found if alert is not None)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
