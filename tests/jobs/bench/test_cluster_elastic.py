"""A cluster that has no GPU until a run asks for one: Ray's autoscaler, with machines that are
processes of this one."""

from pathlib import Path

import pytest

from jobs.bench.cluster.pool import IDLE_SECONDS, MAX_MACHINES, run_pool
from tests.programs import need


@pytest.mark.deep
def test_machines_with_gpus_come_when_a_run_asks_for_them_and_go_after_it(tmp_path: Path) -> None:
    need("bash")
    lines: list[str] = []
    result = run_pool(16, 0.5, tmp_path, lines.append)
    assert result.holds, (result, lines)
    assert 1 <= result.most_machines <= MAX_MACHINES < result.wished
    assert result.first_machine_seconds < result.first_image_seconds
    assert result.idle_seconds == IDLE_SECONDS
