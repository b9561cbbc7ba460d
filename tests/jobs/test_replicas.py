"""The service goes from no replica to several and back to none; no call fails."""

from pathlib import Path

import pytest

from jobs.bench.cluster.replicas import replicas


@pytest.mark.slow
def test_a_burst_brings_replicas_idleness_takes_them_and_every_call_is_answered(
    tmp_path: Path,
) -> None:
    found = replicas(18, tmp_path, print, bursts=1)
    assert found.hold, found
    (burst,) = found.bursts
    assert burst.failed == 0
    assert 2 <= burst.most_replicas <= found.most
    assert found.course.count(0) >= 2  # before and after
