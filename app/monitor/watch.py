"""Watch: the progress of a run, read from the catalog alone, wherever the run executes."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

from app.costs.forecast import forecast_plan
from app.flow.prepare import prepare
from app.monitor.history import state_of
from app.plan.expand import count
from app.plan.schema import Plan
from app.settings import Settings
from app.store.catalog import RunRecord
from app.store.statistics import run_tally
from app.store.store import Store, open_store
from app.types import Status, Value

POLL_SECONDS = 2.0
PACE_SECONDS = 60.0
"""The rate is that of the last minute, so that a growing cluster shows."""
MAX_EXPANDED = 10_000
"""For larger plans the rest is not estimated: that would take as long as a part of the run."""


class RunStatus(Value):
    """The progress of a run."""

    run_id: str
    plan: str
    state: str
    """begun, stopped or ended; a killed run also says begun."""
    asked: int
    decided: dict[Status, int]
    """By this run; existing assets are only counted in `asked`."""
    images: int
    images_per_minute: float
    cost_usd: float
    seconds: float
    """Since it began."""
    still_seconds: float
    """Seconds without any change since the watch began."""
    left_seconds: float | None
    """At this rate, if there is an estimate of the number of images; else None."""

    @property
    def ended(self) -> bool:
        """Returns whether the run has ended or stopped."""
        return self.state != "begun"

    @property
    def signature(self) -> tuple[object, ...]:
        """Returns what must change before another line is printed without a terminal."""
        return (self.state, self.decided, self.images)


@dataclass(slots=True)
class RunWatch:
    """Reads one run repeatedly; the caller passes the time."""

    run_id: str
    store: Store
    asked: int
    expected: float | None
    """Images until all is decided, as estimated at the first read."""
    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _last: object = None
    _changed_at: float = 0.0

    def poll(self, now: float, wall: datetime) -> RunStatus:
        """Returns the progress at `now`, in seconds of any clock; `wall` is the time of day."""
        run, spent = (
            self.store.catalog.run(self.run_id),
            self.store.catalog.run_spending(self.run_id),
        )
        decided = run_tally(self.store.catalog, self.run_id)
        if (decided, spent) != self._last:
            self._last, self._changed_at = (decided, spent), now
        seconds = (
            max((_ended(run) or wall) - _moment(run.started_at), timedelta(0))
        ).total_seconds()
        pace = self._pace(now, spent.images, seconds)
        return RunStatus(
            run_id=run.run_id,
            plan=run.plan,
            state=state_of(run),
            asked=self.asked,
            decided=decided,
            images=spent.images,
            images_per_minute=round(pace * 60, 1),
            cost_usd=spent.cost_usd,
            seconds=round(seconds, 1),
            still_seconds=round(now - self._changed_at, 1),
            left_seconds=None if run.ended_at else self._left(spent.images, pace),
        )

    def _pace(self, now: float, images: int, seconds: float) -> float:
        """Returns images per second: lately, or since the run began while the watch is young."""
        self._seen.append((now, images))
        while now - self._seen[0][0] > PACE_SECONDS:
            self._seen.popleft()
        then, had = self._seen[0]
        if now - then >= PACE_SECONDS / 2:
            return (images - had) / (now - then)
        return images / seconds if seconds else 0.0

    def _left(self, images: int, pace: float) -> float | None:
        if self.expected is None or not pace:
            return None
        return round(max(self.expected - images, 0) / pace, 1)


def watch_run(run_id: str, settings: Settings) -> RunWatch:
    """Opens a watch on a run. Raises CatalogError for an unknown id."""
    store = open_store(settings.blobs, settings.catalog)
    run = store.catalog.run(run_id)
    plan = Plan.model_validate(json.loads(store.blobs.get(run.plan_digest)))
    asked = count(plan)
    expected = (
        None if asked > MAX_EXPANDED or run.ended_at else _expected(plan, run, store, settings)
    )
    return RunWatch(run_id, store, asked, expected)


def watch_progress(watched: RunWatch) -> Iterator[RunStatus]:
    """Yields the progress every POLL_SECONDS; the last one is that of the run's end."""
    while True:
        seen = watched.poll(monotonic(), datetime.now(UTC))
        yield seen
        if seen.ended:
            return
        sleep(POLL_SECONDS)


def _expected(plan: Plan, run: RunRecord, store: Store, settings: Settings) -> float | None:
    """Returns images of the whole run: the estimate of what is left, scaled to what it decided."""
    ahead = forecast_plan(prepare(plan, settings), store.catalog, workers=1)
    if ahead.estimate is None or not ahead.to_make:
        return None
    decided = sum(run_tally(store.catalog, run.run_id).values())
    return ahead.estimate.images.expected * (1 + decided / ahead.to_make)


def progress_line(seen: RunStatus) -> str:
    """Returns the progress as one line for a person."""
    decided = ", ".join(f"{number} {status}" for status, number in sorted(seen.decided.items()))
    line = (
        f"{seen.run_id} {seen.state}: {sum(seen.decided.values())} of {seen.asked} decided"
        f"{f' ({decided})' if decided else ''}, {seen.images} images, "
        f"{seen.images_per_minute:.0f}/min, ${seen.cost_usd:.4f}, {_clock(seen.seconds)}"
    )
    if seen.left_seconds is not None:
        line += f", about {_clock(seen.left_seconds)} left"
    if not seen.ended and seen.still_seconds >= PACE_SECONDS:
        line += f", nothing new for {_clock(seen.still_seconds)}: it may wait, or was killed"
    return line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _ended(run: RunRecord) -> datetime | None:
    return _moment(run.ended_at) if run.ended_at else None
