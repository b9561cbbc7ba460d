"""A few of each kind of trial; and that the counters which must be 0 would not stay 0."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from app.backends.echo import EchoBackend
from app.generate.generate import MAX_TRIES, Generator
from app.settings import Settings
from app.store import local
from app.store.blobs import blob_path
from app.store.publish import open_store
from jobs.crash_tests import invariants, strace
from jobs.crash_tests.corruption import corrupt_files
from jobs.crash_tests.driver import kill_driver
from jobs.crash_tests.home import LENIENT_RULES, CrashTestHome, crash_test_plan
from jobs.crash_tests.kill_points import kill_at_points
from jobs.crash_tests.order import order_violations
from jobs.crash_tests.poison import poison_requests
from jobs.crash_tests.strace import SystemCall
from jobs.crash_tests.syscall import fail_syscalls
from jobs.crash_tests.worker import kill_workers
from jobs.crash_tests.workload import processes, run_all_steps, run_in_process
from jobs.crash_tests.writers import concurrent_writers
from jobs.runtime.batches import REQUESTS_PER_BATCH
from jobs.runtime.cluster import NO_PROGRESS_SECONDS
from jobs.runtime.ray_data import MAX_GENERATION_DEATHS
from tests.programs import need
from tests.scale import scaled, size
from tests.store.servers import need_postgresql
from tests.values import ROUTE, request_with


def say(_: str) -> None:
    """Nobody listens."""


@scaled
def test_a_death_at_a_named_point_leaves_nothing_that_the_same_work_does_not_mend() -> None:
    points = size(2, 8)
    done = kill_at_points(points, 1, say)
    assert done.holds, done.notes
    assert (done.trials, done.counted["kills"]) == (points, points)


def test_a_publish_killed_or_failed_at_a_system_call_is_mended_by_the_same_work() -> None:
    need("strace")
    done = fail_syscalls(1, 1, say)
    if reason := strace.missing_tool():  # it is there, and may not attach to another process
        assert not done.holds
        assert reason in done.notes
        pytest.skip(reason)
    assert done.holds, done.notes
    assert done.trials == 9


def test_without_strace_the_trials_say_so_and_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = fail_syscalls(1, 1, say)
    assert not done.holds
    assert "apt-get install strace" in done.notes[0]


@scaled
def test_writers_killed_at_random_lose_nothing_that_was_acknowledged() -> None:
    need_postgresql()
    done = concurrent_writers(size(3, 20), 1, say)
    assert done.holds, done.notes
    assert done.trials == 4  # both catalogs, undisturbed and killed


@scaled
def test_every_damaged_blob_is_found_and_none_is_let_out() -> None:
    done = corrupt_files(20, 1, say)
    assert done.holds, done.notes
    assert (done.counted["flips"], done.counted["truncations"], done.counted["swaps"]) == (20, 4, 2)


@pytest.mark.slow
def test_deadly_and_endless_requests_fail_alone_and_the_job_ends_by_itself() -> None:
    done = poison_requests(1, 1, say)
    assert done.holds, done.notes
    assert done.counted["poisonous"] == 2


@pytest.mark.slow
def test_generation_goes_on_while_nobody_lives_to_check_and_checks_catch_up() -> None:
    done = kill_workers(0, 1, say, assets=12)
    assert done.holds, done.notes
    assert done.counted["kills in the siege"] > 0
    assert done.counted["images committed in the siege"] > 0


@pytest.mark.slow
def test_the_driver_killed_at_random_resumes_to_the_same_result() -> None:
    done = kill_driver(1, 1, say, assets=12)
    assert done.holds, done.notes
    assert done.counted["kills"] > 0


def test_the_command_prints_one_document_and_its_exit_code_says_whether_all_held() -> None:
    command = [
        sys.executable,
        "-m",
        "jobs",
        "dev",
        "crash-tests",
        "--kind",
        "syscall",
        "--n",
        "1",
        "--json",
    ]
    poor = os.environ | {"PATH": ""}
    done = subprocess.run(command, env=poor, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (kind,) = json.loads(done.stdout)["kinds"]
    assert kind["broken"] == {"could not be tried": 1}


def test_a_row_of_nothing_but_deadly_requests_does_not_use_up_its_retries() -> None:
    waiting = 4  # rows that wait for one worker and lose a retry with each of its deaths
    assert MAX_TRIES * REQUESTS_PER_BATCH * waiting < MAX_GENERATION_DEATHS


def test_a_request_that_hangs_is_given_up_before_the_run_is() -> None:
    assert MAX_TRIES * Settings().stuck_seconds < NO_PROGRESS_SECONDS


# What follows breaks the laws on purpose.


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> CrashTestHome:
    """A home in which a plan was made without Ray."""
    home = CrashTestHome(tmp_path_factory.mktemp("finished"))
    plan = home.write(crash_test_plan(2, rules=list(LENIENT_RULES)))
    assert run_in_process(processes(), run_all_steps, plan, home.environment()) == 0
    return home


@pytest.fixture
def home(finished: CrashTestHome, tmp_path: Path) -> CrashTestHome:
    """A copy that may be spoiled."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return CrashTestHome(tmp_path / "copy")


def test_a_finished_home_breaks_no_law(home: CrashTestHome) -> None:
    assert not any(invariants.broken_invariants(home, invariants.snapshot(home)).values())


def test_an_image_painted_after_its_commit_is_counted(home: CrashTestHome) -> None:
    _, request_id = home.rendered()[0]
    with home.echo_log.open("a") as echo_log:
        echo_log.write(f"4000000000.0 {request_id}\n")
    assert invariants.broken_invariants(home)["made again after commit"] == 1


@pytest.mark.parametrize("spoil", ["gone", "torn"])
def test_a_row_without_its_whole_blob_is_counted(home: CrashTestHome, spoil: str) -> None:
    store = home.open()
    digest = min(invariants.referenced_blobs(store))
    store.catalog.close()
    file = home.root / "blobs" / blob_path(digest)
    data = file.read_bytes()
    file.unlink()
    if spoil == "torn":
        file.write_bytes(data[:-1])
    broken = invariants.broken_invariants(home)
    assert broken["rows without whole blob"] == 1
    assert broken["torn blobs readable"] == (spoil == "torn")
    assert broken["differences verify finds"] >= 1


def test_what_stood_and_is_gone_or_different_is_counted(home: CrashTestHome) -> None:
    stood = invariants.snapshot(home)
    assert invariants.broken_invariants(home, stood | {"a key": "a digest"})["lost"] == 1
    assert invariants.broken_invariants(home, dict.fromkeys(stood, "another"))["lost"] == len(stood)


def test_another_result_has_another_manifest(home: CrashTestHome, tmp_path: Path) -> None:
    other = CrashTestHome(tmp_path / "other")
    plan = other.write(crash_test_plan(1, rules=list(LENIENT_RULES)))
    assert run_in_process(processes(), run_all_steps, plan, other.environment()) == 0
    assert invariants.manifest(other) != invariants.manifest(home)


# The order of a publish, by a recording of what the store's own functions ask of the system.


def test_bytes_are_on_disk_before_a_row_names_them(tmp_path: Path) -> None:
    calls = record(lambda: publish_one(tmp_path))
    assert order_violations(calls) == []
    assert [call.name for call in calls].count("link") == 1


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (lambda call: call.name == "write", "before it was written"),
        (lambda call: call.name == "fsync" and of_draft(call), "before its bytes"),
        (lambda call: call.name == "fsync" and not of_draft(call), "folder was never"),
        (lambda call: call.name == "link", "no blob was linked"),
        (lambda call: call.name == "fdatasync", "row was never synced"),
    ],
)
def test_a_missing_step_is_noticed(
    tmp_path: Path, without: Callable[[SystemCall], bool], words: str
) -> None:
    calls = [call for call in record(lambda: publish_one(tmp_path)) if not without(call)]
    assert any(words in fault for fault in order_violations(calls))


def test_a_new_folder_whose_parent_is_not_synced_is_noticed(tmp_path: Path) -> None:
    calls = record(lambda: publish_one(tmp_path))
    calls.insert(0, SystemCall(0, "mkdir", ("/a/new/folder",), "", failed=False))
    assert any("/a/new/folder" in fault for fault in order_violations(calls))


def test_a_row_that_comes_too_early_is_noticed(tmp_path: Path) -> None:
    calls = record(lambda: publish_one(tmp_path))
    (link,) = (number for number, call in enumerate(calls) if call.name == "link")
    calls.insert(link + 1, SystemCall(0, "pwrite64", ("catalog.db-wal",), "", failed=False))
    assert any("before the folder" in fault for fault in order_violations(calls))


def of_draft(call: SystemCall) -> bool:
    """Whether it is about a temporary file."""
    return Path(call.paths[0]).parent.name == "tmp"


def publish_one(folder: Path) -> None:
    """One image into a new store."""
    store = open_store((folder / "blobs").as_uri(), f"sqlite:///{folder / 'catalog.db'}")
    Generator(ROUTE, EchoBackend(), store, "run").generate([request_with()])
    store.catalog.close()


def record(work: Callable[[], None]) -> list[SystemCall]:
    """What the store's folder and its catalog ask of the system, in order and in any thread."""
    calls: list[SystemCall] = []

    def look(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call":
            calls.extend(asked(frame, getattr(function, "__name__", "")))

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return calls


def asked(frame: FrameType, name: str) -> Iterator[SystemCall]:
    """The calls for this call from this frame; a commit writes the log and syncs it."""
    if frame.f_code.co_filename == local.__file__ and name in ("write", "fsync", "link"):
        paths = [
            frame.f_locals[variable]
            for variable in ("temporary", "path")
            if variable in frame.f_locals
        ]
        yield SystemCall(0, name, tuple(map(str, paths)), name, failed=False)
    if name == "commit":
        for call_name in ("pwrite64", "fdatasync"):
            yield SystemCall(0, call_name, ("catalog.db-wal",), call_name, failed=False)
