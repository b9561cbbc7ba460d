"""Every write-type system call of one publish: killed there, then failed there, in turn."""

import signal
from collections import Counter
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from app.cli.output import Say
from jobs.crash_tests import invariants, strace
from jobs.crash_tests.counters import Counters, CrashTestResult
from jobs.crash_tests.home import CrashTestHome, lenient_plan
from jobs.crash_tests.order import order_violations
from jobs.crash_tests.strace import SystemCall
from jobs.crash_tests.workload import (
    FAILED_BARE,
    STEPS,
    processes,
    run_all_steps,
    run_in_process,
    run_one_step,
)

FAULTS = ("signal=SIGKILL", "error=ENOSPC", "error=EIO")


def fail_syscalls(n: int, seed: int, say: Say) -> CrashTestResult:
    """Tests at most `n` calls of each step's publish, each killed, then failed in two ways."""
    counters = Counters("syscall")
    if reason := strace.missing_tool():
        counters.broken["could not be tried"] = 1
        counters.notes.append(reason)
        return counters.result()
    context = processes()
    with TemporaryDirectory(prefix="atelier-trial-") as folder:
        bench = SyscallBench(Path(folder), context, counters)
        for step in STEPS:
            calls = bench.record_calls(step)
            counters.add(
                f"order of {step}", {"out of order": len(problems := order_violations(calls))}
            )
            counters.notes += problems
            for name, number in _turns(calls, n, seed):
                for fault in FAULTS:
                    bench.inject_fault(step, f"{name}:{fault}:when={number}")
                text = f"{step}, {counters.trials} trials, {dict(counters.counted)}"
                say(f"syscall, {text} {counters.notes or ''}")
    return counters.result()


class SyscallBench:
    """Disturbs one publish after the other, each from the same initial state."""

    def __init__(self, folder: Path, context: ForkServerContext, counters: Counters) -> None:
        self._folder, self._context, self._counters = folder, context, counters
        self._fresh = b""
        undisturbed = self._home("undisturbed")
        undisturbed.open().catalog.close()
        self._fresh = (undisturbed.root / "catalog.db").read_bytes()
        self._run(undisturbed)
        self._expected = invariants.manifest(undisturbed)

    def record_calls(self, step: str) -> list[SystemCall]:
        """Returns the system calls of an undisturbed step."""
        code, calls = self._traced(self._home(f"traced-{step}"), step)
        self._counters.broken["runs that did not end well"] += code != 0
        return calls

    def inject_fault(self, step: str, inject: str) -> None:
        """Runs one step with one fault, and then the whole work again."""
        counters = self._counters
        counters.trials += 1
        home = self._home(f"{counters.trials}")
        code, calls = self._traced(home, step, inject)
        seen = invariants.snapshot(home)
        where = f"{step} {inject}"
        counters.add(where, invariants.broken_invariants(home) | _unexpected_end(code, inject))
        counters.counted[_ended(code, calls)] += 1
        code = self._run(home)
        final = invariants.broken_at_end(home, seen, code=code, expected=self._expected)
        counters.add(f"{where} and again", final)

    def _home(self, name: str) -> CrashTestHome:
        home = CrashTestHome(self._folder / name)
        home.write(lenient_plan(1))
        for root in (home.root, home.root / "warm") if self._fresh else ():
            root.mkdir()
            (root / "catalog.db").write_bytes(self._fresh)
        return home

    def _run(self, home: CrashTestHome) -> int:
        return run_in_process(
            self._context, run_all_steps, home.folder / "plan.yaml", home.environment()
        )

    def _traced(
        self, home: CrashTestHome, step: str, inject: str = ""
    ) -> tuple[int, list[SystemCall]]:
        ours, theirs = self._context.Pipe()
        environment = home.environment()
        del environment["ATELIER_ECHO_DIARY"]  # its writes would be among those traced
        arguments = (home.folder / "plan.yaml", environment, step, theirs)
        process = self._context.Process(target=run_one_step, args=arguments)
        process.start()
        theirs.close()
        with strace.attach_strace(ours.recv(), inject=inject) as calls:
            ours.send("go")
            process.join()
        return process.exitcode or 0, calls


def _turns(calls: Sequence[SystemCall], n: int, seed: int) -> list[tuple[str, int]]:
    """Returns the calls to test, each by its number within its thread; at most `n`."""
    numbers: Counter[tuple[int, str]] = Counter()
    turns: dict[tuple[str, int], None] = {}
    for call in calls:
        numbers[call.thread, call.name] += 1
        turns[call.name, numbers[call.thread, call.name]] = None
    return sorted(Random(seed).sample(list(turns), min(n, len(turns))))


def _unexpected_end(code: int, inject: str) -> dict[str, int]:
    died = code == -signal.SIGKILL
    return {
        "errors no border translated": int(code == FAILED_BARE),
        "deaths nobody asked for": int(died and "SIGKILL" not in inject),
    }


def _ended(code: int, calls: Sequence[SystemCall]) -> str:
    """Returns how the step ended, in words that can be counted."""
    if code == -signal.SIGKILL:
        return "killed"
    if not any(call.injected for call in calls):
        return "fault not met"  # threads share calls differently from run to run
    if code:
        return "failed loudly"
    met = next(call for call in calls if call.injected)
    return f"went on in spite of {met.target}"
