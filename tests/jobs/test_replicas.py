"""The service goes from no replica to several and back to none, and again; no call fails."""

from pathlib import Path

import pytest

from jobs.nodes.replicas import replicas


@pytest.mark.slow
def test_bursts_bring_replicas_idleness_takes_them_and_every_call_is_answered(
    tmp_path: Path,
) -> None:
    found = replicas(18, tmp_path, print)
    assert found.hold, found
    assert [one.failed for one in found.bursts] == [0, 0]
    assert all(2 <= one.most_replicas <= found.most for one in found.bursts)
    assert found.course.count(0) >= 3  # before, between and after
