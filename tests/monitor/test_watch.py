"""Watching a run: counts from the catalog, the pace of the last minute, an end."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.flow.make import make
from app.generate.generate import Generator
from app.monitor.watch import RunWatch, progress_line, watch_progress, watch_run
from app.plan.expand import expand_variants
from app.plan.read import read_plan
from app.registry.references import available_models
from app.settings import Settings
from app.store.publish import Store, begin_run, open_store
from app.types import Status
from tests.cli.test_main import PLAN, home, run, run_json
from tests.values import ROUTE, spec_with

__all__ = ["home"]

RUN = "run-1"


@pytest.fixture
def begun(home: Path) -> Store:
    """A run of two assets has begun."""
    (home / "plan.yaml").write_text(json.dumps(PLAN))
    plan = read_plan(home / "plan.yaml")
    store = open_store(Settings().blobs, Settings().catalog)
    begin_run(store, RUN, plan=plan.name, document=plan.as_json())
    return store


def decide(store: Store, name: str) -> None:
    generator = Generator(route=ROUTE, backend=EchoBackend(), store=store, owner=RUN)
    make(spec_with(name=name), generator, None, Neighbours())


def wall(store: Store, seconds: float) -> datetime:
    """So long after the run began."""
    began = datetime.fromisoformat(store.catalog.run(RUN).started_at)
    return began + timedelta(seconds=seconds)


def test_a_look_counts_what_was_decided_and_made(begun: Store) -> None:
    watched = watch_run(RUN, Settings())
    first = watched.poll(0, wall(begun, 10))
    assert (first.asked, first.decided, first.images, first.ended) == (2, {}, 0, False)
    decide(begun, "potion.red")
    second = watched.poll(20, wall(begun, 30))
    assert second.decided == {Status.ACCEPTED: 1}
    assert (second.images, second.seconds, second.images_per_minute) == (2, 30, 4)
    assert (first.still_seconds, second.still_seconds) == (0, 0)


def test_the_pace_is_that_of_the_last_minute(begun: Store) -> None:
    watched = RunWatch(RUN, begun, asked=2, expected=10)
    watched.poll(0, wall(begun, 1000))
    decide(begun, "potion.red")
    assert watched.poll(30, wall(begun, 1030)).images_per_minute == 4
    assert watched.poll(60, wall(begun, 1060)).images_per_minute == 2
    late = watched.poll(200, wall(begun, 1200))
    assert (late.images_per_minute, late.still_seconds) == (0.1, 170)
    assert "it may wait, or was killed" in progress_line(late)


def test_what_is_left_is_told_when_it_was_estimated(begun: Store) -> None:
    decide(begun, "potion.red")
    assert RunWatch(RUN, begun, asked=2, expected=6).poll(0, wall(begun, 10)).left_seconds == 20
    assert RunWatch(RUN, begun, asked=2, expected=1).poll(0, wall(begun, 10)).left_seconds == 0
    assert (
        RunWatch(RUN, begun, asked=2, expected=None).poll(0, wall(begun, 10)).left_seconds is None
    )


def test_a_watch_estimates_the_whole_run_once_the_model_is_measured(
    begun: Store, home: Path
) -> None:
    assert watch_run(RUN, Settings()).expected is None
    for name in ("potion.one", "potion.two", "potion.three"):  # decided beside the plan's two
        decide(begun, name)
    first = sum(
        spec.candidates
        for (spec,) in expand_variants(read_plan(home / "plan.yaml"), available_models(Settings()))
    )
    assert watch_run(RUN, Settings()).expected == first * (1 + 3 / 2)


def test_watching_ends_with_the_run(begun: Store) -> None:
    begun.catalog.end_run(RUN, {"asked": 2})
    (last,) = watch_progress(watch_run(RUN, Settings()))
    assert (last.state, last.left_seconds) == ("ended", None)
    assert "run-1 ended: 0 of 2 decided" in run("runs", "watch", RUN)
    assert run_json("runs", "watch", RUN)["state"] == "ended"


@pytest.mark.usefixtures("home")
def test_a_run_that_nobody_knows_is_said_to_be_unknown() -> None:
    assert "no run 'x'" in json.loads(run("runs", "watch", "x", "--json", code=1))["message"]


def test_a_stopped_run_and_one_with_failures_have_other_exit_codes(begun: Store) -> None:
    begun.catalog.end_run(RUN, {"stopped": True})
    assert "stopped" in run("runs", "watch", RUN, code=130)
