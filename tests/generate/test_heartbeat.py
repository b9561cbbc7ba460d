"""Leases live while work moves; a process whose work is stuck ends itself and is replaced."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

from sqlalchemy import Connection, select, update

from app.backends.echo import EchoBackend, draw_card
from app.engine.results import RenderedImage
from app.generate.generate import MAX_TRIES, Generator
from app.generate.heartbeat import Heartbeat
from app.store.publish import Store, claim, open_store
from app.store.tables import leases
from app.types import GenerationRequest
from tests.values import ROUTE, request_with

WORKER = """
import json, sys
from app.backends.echo import EchoBackend, EchoSettings
from app.generate.generate import Generator
from app.store.publish import open_store
from tests.values import ROUTE, request_with

store = open_store(sys.argv[1], sys.argv[2])
generator = Generator(ROUTE, EchoBackend(EchoSettings()), store, "run", stuck_seconds=0.4)
outcomes = generator.generate([request_with(prompt) for prompt in ("a", "stuck", "b")])
print(json.dumps([outcome.error for outcome in outcomes]))
"""


def store_in(folder: Path) -> Store:
    return open_store((folder / "blobs").as_uri(), f"sqlite:///{folder / 'catalog.db'}")


def work(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    places = [(folder / "blobs").as_uri(), f"sqlite:///{folder / 'catalog.db'}"]
    return subprocess.run(
        [sys.executable, "-c", WORKER, *places],
        env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_request_that_hangs_its_worker_ends_as_poison_and_its_neighbours_finish(
    tmp_path: Path,
) -> None:
    diary = tmp_path / "diary"
    environment = {"ATELIER_ECHO_HANGS_AT": "stuck", "ATELIER_ECHO_DIARY": str(diary)}
    for _ in range(MAX_TRIES):
        assert work(tmp_path, **environment).returncode == -signal.SIGKILL
    done = work(tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    first, stuck, last = json.loads(done.stdout)
    assert (first, last) == ("", "")
    assert "poison" in stuck
    painted = [line.split()[1] for line in diary.read_text().splitlines()]
    wanted = [request_with(prompt).id for prompt in ("a", "b")]
    assert set(painted) == set(wanted)


def test_a_lease_is_renewed_while_work_moves(tmp_path: Path) -> None:
    store, key = store_in(tmp_path), "k" * 64
    claim(store, [key], owner="slow", seconds=600)
    claim(store, ["o" * 64], owner="other", seconds=600)
    before = expiries(store)
    with Heartbeat(store, [key, "o" * 64], owner="slow", lease_seconds=0.3, stuck_seconds=None):
        while expiries(store)[key] == before[key]:
            sleep(0.01)  # the test's own time limit ends a heart that never beats
    assert expiries(store)["o" * 64] == before["o" * 64]  # another's lease is not its to renew


def expiries(store: Store) -> dict[str, float]:
    def read(connection: Connection) -> dict[str, float]:
        return {row.key: row.expires_at for row in connection.execute(select(leases))}

    return store.catalog.read(read)


class Slow:
    """Paints a card only after the steps of another worker's whole run."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile

    def generate(self, requests: Iterable[GenerationRequest]) -> Iterator[RenderedImage]:
        for request in requests:
            self._meanwhile()
            yield RenderedImage(request, draw_card(request), seconds=1.0)


def test_a_worker_whose_lease_was_taken_over_reuses_the_winners_image(tmp_path: Path) -> None:
    store, request = store_in(tmp_path), request_with()
    other = Generator(ROUTE, EchoBackend(), store, "other")

    def meanwhile() -> None:
        expire = update(leases).values(expires_at=0)
        store.catalog.write(lambda connection: connection.execute(expire), names=())
        assert other.generate([request])[0].made

    (outcome,) = Generator(ROUTE, Slow(meanwhile), store, "late").generate([request])
    assert outcome.image is not None
    assert outcome.image.provenance.attempt == 2  # the winner's own attempt, not the late one's
