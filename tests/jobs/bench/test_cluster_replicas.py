"""The service goes from no replica to several and back to none; no call fails."""

from pathlib import Path

import pytest

from jobs.bench.cluster.replicas import run_bursts


@pytest.mark.slow
def test_a_burst_brings_replicas_idleness_takes_them_and_every_call_is_answered(
    tmp_path: Path,
) -> None:
    result = run_bursts(18, tmp_path, print, bursts=1)
    assert result.holds, result
    (burst,) = result.bursts
    assert burst.failed == 0
    assert 2 <= burst.most_replicas <= result.most
    assert result.course.count(0) >= 2  # before and after
