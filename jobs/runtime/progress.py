"""The progress display of a run: images made, per minute, passing, time left."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.types import Verdict
from app.types.candidate import Candidate, Outcome


class RunProgress:
    """Counts as the rows come back; draws on a terminal, prints plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=False,
            auto_refresh=console.is_terminal,  # otherwise a thread redraws for nobody
        )
        self._tasks: dict[str, TaskID] = {}
        self._started = perf_counter()
        self.made = 0
        self.loads = 0
        self.first_image_seconds = 0.0
        self.cpu_seconds = 0.0
        self.seconds = 0.0

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator["StageProgress"]:
        """Shows one stage on a line of its own; a repeated description adds `total` to its line."""
        if description in self._tasks:
            task = self._tasks[description]
            known = self._bar.tasks[self._bar.task_ids.index(task)].total or 0
            self._bar.update(task, total=known + total)
        else:
            task = self._bar.add_task(description, total=total, detail="")
            self._tasks[description] = task
        if not self._console.is_terminal:
            self._console.print(f"{description}: {total}")
        yield StageProgress(self, self._bar, task)

    def count(self, outcome: Outcome) -> None:
        """Adds an outcome to the run's figures; reused images do not count as made."""
        if outcome.made and outcome.image:
            self.first_image_seconds = self.first_image_seconds or perf_counter() - self._started
            self.made += 1
            self.seconds += outcome.image.seconds
            self.cpu_seconds += outcome.cpu_seconds

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class StageProgress:
    """One line of the display."""

    def __init__(self, run: RunProgress, bar: Progress, task: TaskID) -> None:
        self._run, self._bar, self._task = run, bar, task
        self._started = perf_counter()
        self._seen = 0
        self._passing = 0

    def count_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Counts one asset's images and how many passed the checks."""
        for candidate in candidates:
            self._run.count(candidate.outcome)
            self._passing += _passes(candidate)
        self._seen += len(candidates)
        rate = self._seen / (perf_counter() - self._started) * 60
        detail = f"{rate:.0f}/min, {self._run.made} made, {self._passing} pass"
        self.advance(len(candidates), detail)

    def advance(self, number: int, detail: str = "") -> None:
        """Advances the line by `number`."""
        self._bar.update(self._task, advance=number, detail=detail)


def _passes(candidate: Candidate) -> bool:
    return candidate.report is not None and candidate.report.verdict is Verdict.ACCEPT
