"""What hangs on bits holds on every processor that this machine can play."""

import os
import subprocess
import sys

import pytest

from tests.processors import PROCESSORS, Processor

TESTS = (
    "tests/engine/test_exact_rows.py", "tests/engine/test_batch_invariance.py",
    "tests/engine/test_memory.py", "tests/assets/test_replay.py",
    "tests/deployments/replica/test_engine_worker.py",
)  # fmt: skip
"""Tests that compare bits, the starter's at its real size with one and two threads among them."""

pytestmark = [pytest.mark.deep, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_what_hangs_on_bits_holds_there(processor: Processor) -> None:
    if processor.missing:
        pytest.skip(f"this machine's processor has no {', '.join(processor.missing)}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--processor", processor.name, *TESTS],
        capture_output=True, check=False, text=True, env=os.environ | processor.environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
