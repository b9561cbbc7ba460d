"""Machines that go in the middle of a run, told or not; and that the proofs would notice a loss."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from app.backends.echo import EchoBackend
from app.generate.generate import Generator, WorkerLeaving
from app.settings import Settings
from app.store.publish import Store, attempts, claim, hand_back, open_store
from app.types import GenerationRequest
from jobs.bench.cluster.bench import ClusterFigures
from jobs.bench.cluster.cluster_sizes import ClusterSize
from jobs.bench.cluster.kills_and_drains import DisruptedRun, Disruption, RunShape, run_disrupted
from jobs.bench.cluster.scaling import scaling_run
from jobs.crash_tests import invariants
from jobs.crash_tests.baseline import Baseline
from jobs.crash_tests.home import CrashTestHome
from jobs.crash_tests.workload import processes, run_all_steps, run_in_process
from jobs.stages.pack import PackStage
from tests.programs import need
from tests.values import ROUTE, request_with

GONE = DisruptedRun(
    blows={"kill": 1}, nodes=2, images=4, lost=0, painted_after_commit=0, painted_again=2,
    other_results=0, other_breaks=0, seconds=9, added_seconds=3, leave_seconds=None,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


@pytest.fixture
def requests() -> list[GenerationRequest]:
    return [request_with(prompt=f"card {number}") for number in range(4)]


def goes_after(images: int, store: Store) -> Generator:
    """A worker that is told to go while it makes the last of so many images."""
    asked = Counter[str]()

    def leaving() -> bool:
        asked["times"] += 1
        return asked["times"] > images  # once before the claim, then after each image

    return Generator(ROUTE, EchoBackend(), store, "goes", leaving=leaving)


def test_a_worker_that_is_told_to_go_publishes_what_it_made_and_hands_back_the_rest(
    store: Store, requests: list[GenerationRequest]
) -> None:
    with pytest.raises(WorkerLeaving, match="2 requests are left"):
        goes_after(2, store).generate(requests)
    assert len(store.catalog.find_images()) == 2
    assert attempts(store, [ROUTE.key(request.id) for request in requests]) == {}
    outcomes = Generator(ROUTE, EchoBackend(), store, "another run").generate(requests)
    assert [outcome.made for outcome in outcomes] == [False, False, True, True]


def test_a_worker_that_goes_begins_nothing(store: Store, requests: list[GenerationRequest]) -> None:
    with pytest.raises(WorkerLeaving):
        goes_after(0, store).generate(requests)
    assert not store.catalog.find_images()


def test_a_worker_that_is_told_at_its_last_image_has_nothing_to_hand_back(
    store: Store, requests: list[GenerationRequest]
) -> None:
    assert all(outcome.made for outcome in goes_after(4, store).generate(requests))


def test_what_others_hold_is_not_handed_back(store: Store) -> None:
    claim(store, ["a", "b"], owner="stays", seconds=60)
    claim(store, ["c"], owner="goes", seconds=60)
    hand_back(store, ["a", "c"], owner="goes")
    assert set(attempts(store, ["a", "b", "c"])) == {"a", "b"}


def test_a_stage_outside_of_a_worker_leaves_the_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    PackStage(Settings(home=tmp_path, store_url="", catalog_url=""))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_machines_are_told_drained_and_killed_and_the_result_is_that_of_one_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    need("bash")
    shape = RunShape(nodes=2, images=28, seconds=0.4)
    alone = CrashTestHome(tmp_path_factory.mktemp("alone"))
    assert (
        run_in_process(processes(), run_all_steps, alone.write(shape.plan), alone.environment())
        == 0
    )
    undisturbed = Baseline(invariants.manifest(alone), seconds=0, images=shape.images, steps=0)
    disruptions = [Disruption.TERM, Disruption.DRAIN, Disruption.KILL]
    lines: list[str] = []
    result = run_disrupted(
        shape, disruptions, undisturbed, tmp_path_factory.mktemp("s"), lines.append
    )
    assert result.holds, (result, lines)
    assert result.blows == {"term": 1, "drain": 1, "kill": 1}
    assert result.leave_seconds is not None


def test_the_command_refuses_a_section_that_is_not_there() -> None:
    command = [sys.executable, "-m", "jobs", "dev", "bench-cluster", "--section", "kils", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "kils" in json.loads(done.stdout)["message"]


# What follows breaks the laws on purpose.


def test_images_painted_twice_amid_a_kill_break_nothing() -> None:
    assert GONE.holds


@pytest.mark.parametrize(
    "counter", ["lost", "painted_after_commit", "other_results", "other_breaks"]
)
def test_each_counter_that_must_be_nothing_is_looked_at(counter: str) -> None:
    broken = GONE.replace(**{counter: 1})
    assert not broken.holds
    assert not ClusterFigures(image_seconds=1, storms=(broken,)).holds


def test_other_bytes_on_other_numbers_of_machines_are_noticed() -> None:
    width = ClusterSize(nodes=1, images=2, files=4, files_digest="a", rows_digest="b")
    same, other = width.replace(nodes=2), width.replace(nodes=2, files_digest="c")
    assert ClusterFigures(image_seconds=1, widths=(width, same)).holds
    assert not ClusterFigures(image_seconds=1, widths=(width, other)).holds


def test_machines_that_never_wait_have_an_efficiency_of_one() -> None:
    moments = [10.0 + number // 2 * 2 for number in range(16)]  # two machines, 2 s an image
    scale = scaling_run(RunShape(2, 16, 2.0), moments, began=5, ended=30)
    assert (scale.whole_efficiency, scale.first_image_seconds) == (1.0, 5.0)
    slow = [10.0 + number // 2 * 4 for number in range(16)]
    assert scaling_run(RunShape(2, 16, 2.0), slow, began=5, ended=60).steady_efficiency < 0.6
