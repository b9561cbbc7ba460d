"""Stages that are not repeated: each leaves a folder named after all that decided its content."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, cast

from app.digest import Json, digest


class StageCache:
    """The folder where finished stages stand.

    A stage is known by its name, its settings and the stages it builds on. It works in a folder
    of its own that is renamed only when it is complete, so a killed run leaves nothing that looks
    finished. The unfinished folder is kept: a stage may continue from checkpoints in it.
    """

    def __init__(self, folder: Path, *, resume: bool = True) -> None:
        self.folder = folder
        self.resume = resume

    def path(self, name: str, settings: Any, after: Sequence[Path] = ()) -> Path:
        """Where the finished stage stands or will stand."""
        values = asdict(settings) if is_dataclass(settings) else settings  # type: ignore[arg-type]
        key = digest(cast(Json, [name, values, [path.name for path in after]]))
        return self.folder / f"{name}-{key[:12]}"

    def run(
        self,
        name: str,
        settings: Any,
        make: Callable[[Path], None],
        after: Sequence[Path] = (),
    ) -> Path:
        """The finished stage's folder; `make` fills it only when it is not there yet."""
        finished = self.path(name, settings, after)
        if finished.exists() and self.resume:
            say(f"{name}: kept from an earlier run")
            return finished
        growing = finished.with_name(finished.name + ".growing")
        if not self.resume:
            shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        make(growing)
        shutil.rmtree(finished, ignore_errors=True)
        os.replace(growing, finished)
        say(f"{name}: done in {time.monotonic() - start:.0f} s")
        return finished


class ProgressLog:
    """Reports samples done at most every few seconds, with the time that is left."""

    def __init__(self, name: str, *, every_seconds: float = 20.0) -> None:
        self._name = name
        self._every = every_seconds
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, figures: str, *, always: bool = False) -> None:
        """One line to stderr: name, done of total, figures, seconds left."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        elif now - self._last < self._every and done < total and not always:
            return
        self._last = now
        speed = (done - self._first) / max(now - self._start, 1e-6)
        left = f", {(total - done) / speed / 60:.1f} min left" if speed > 0 else ""
        say(f"{self._name}: {done}/{total} samples, {figures}, {speed:.0f}/s{left}")


def say(text: str) -> None:
    """One progress line to stderr."""
    print(text, file=sys.stderr, flush=True)
