"""A cluster that has no GPU until a run asks for one: Ray's autoscaler, with machines that are
processes of this one."""

from pathlib import Path

import pytest

from jobs.bench.cluster.pool import IDLE_SECONDS, MOST, pool
from tests.programs import need


@pytest.mark.slow
def test_machines_with_gpus_come_when_a_run_asks_for_them_and_go_after_it(tmp_path: Path) -> None:
    need("bash")
    said: list[str] = []
    found = pool(16, 0.5, tmp_path, said.append)
    assert found.hold, (found, said)
    assert 1 <= found.most_machines <= MOST < found.wished
    assert found.first_machine_seconds < found.first_image_seconds
    assert found.idle_seconds == IDLE_SECONDS
