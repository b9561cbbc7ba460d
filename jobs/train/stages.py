"""The stages of a training, each cached in a folder named after its settings; and its log."""

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

    A stage is identified by its name, its settings and the stages it builds on. It writes into a
    temporary folder that is renamed when complete, so a killed run leaves nothing that looks
    finished. The temporary folder is kept: a stage may continue from checkpoints in it.
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
        started = time.monotonic()
        make(growing)
        shutil.rmtree(finished, ignore_errors=True)
        os.replace(growing, finished)
        say(f"{name}: done in {time.monotonic() - started:.0f} s")
        return finished


class ProgressLog:
    """Logs progress on stderr at intervals, with the rate and the remaining time."""

    def __init__(self, name: str, *, unit: str = "samples", every_seconds: float = 20.0) -> None:
        self._name = name
        self._unit = unit
        self._every = every_seconds
        self._start = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int, figures: str = "", *, always: bool = False) -> None:
        """Prints one line if it is the first, the last, or the interval has passed, or `always`."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        elif now - self._last < self._every and done < total and not always:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._start, 1e-6)
        parts = [f"{done}/{total} {self._unit}", figures, f"{rate:.0f}/s"]
        if rate > 0:
            parts.append(f"{(total - done) / rate / 60:.1f} min left")
        say(f"{self._name}: {', '.join(filter(None, parts))}")


def say(text: str) -> None:
    """Prints one line of progress to stderr."""
    print(text, file=sys.stderr, flush=True)
