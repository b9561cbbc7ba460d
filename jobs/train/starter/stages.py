"""Caches the stages of a training, each in a folder named after all that decides its content."""

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
    """The folder of the finished stages.

    A stage is identified by its name, its settings and the stages it builds on. It works in a
    folder of its own that is renamed only when complete, so a killed run leaves nothing that looks
    finished. The unfinished folder is kept: a stage may continue from checkpoints in it.
    """

    def __init__(self, folder: Path, *, resume: bool = True) -> None:
        self.folder = folder
        self.resume = resume

    def path(self, name: str, settings: Any, after: Sequence[Path] = ()) -> Path:
        """Returns the folder of the finished stage, which need not exist yet."""
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
        """Returns the finished stage's folder.

        Calls `make` to fill it unless it exists and `resume` is set.
        """
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
    """Reports progress every few seconds at most, with the time that is left."""

    def __init__(self, name: str, *, every_seconds: float = 20.0) -> None:
        self._name = name
        self._every = every_seconds
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, figures: str, *, always: bool = False) -> None:
        """Prints one line to stderr: name, done of total, figures, minutes left."""
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
    """Prints one progress line to stderr."""
    print(text, file=sys.stderr, flush=True)
