"""Measures a command from outside: the CPU time and the memory of its whole process tree."""

import subprocess
from contextlib import suppress
from time import perf_counter, sleep

import psutil

SAMPLE_SECONDS = 0.25
MEMORY_SECONDS = 3.0
"""Reading proportional set sizes costs the kernel enough to disturb the measurement."""


class ProcessUsage:
    """Runs a command and sums what its whole process tree used."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._command, self._environment = command, environment
        self._cpu: dict[tuple[int, float], float] = {}
        self.peak_memory_mib = 0.0
        self.wall_seconds = 0.0
        self.exit_code = 0

    def run(self) -> str:
        """Runs to the end and returns what the command printed on stdout."""
        started = perf_counter()
        with subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, text=True
        ) as process:
            tree = psutil.Process(process.pid)
            looked = started
            while process.poll() is None:
                self._sample_cpu(tree)
                if perf_counter() - looked > MEMORY_SECONDS:
                    looked = perf_counter()
                    self._sample_memory(tree)
                sleep(SAMPLE_SECONDS)
            self.wall_seconds = perf_counter() - started
            self.exit_code = process.returncode
            assert process.stdout is not None
            return process.stdout.read()

    @property
    def cpu_seconds(self) -> float:
        """Returns the CPU time in seconds of every process seen, up to its last sample."""
        return sum(self._cpu.values())

    def _sample_cpu(self, tree: psutil.Process) -> None:
        for process in _process_tree(tree):
            with suppress(psutil.Error):  # it ended between the listing and the sample
                used = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = used.user + used.system

    def _sample_memory(self, tree: psutil.Process) -> None:
        total = 0
        for process in _process_tree(tree):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        self.peak_memory_mib = max(self.peak_memory_mib, total / 2**20)


def _process_tree(tree: psutil.Process) -> list[psutil.Process]:
    try:
        return [tree, *tree.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
