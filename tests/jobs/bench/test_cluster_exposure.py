"""The profile of `cluster.yaml` on this machine: nobody without credentials is told anything."""

import tempfile
from pathlib import Path

import pytest

from jobs.bench.cluster.exposure import HEALTH, Exposure, scan_exposure
from jobs.bench.cluster.port_scan import Port
from tests.programs import need

EXPECTED = {
    "gcs": "grpc", "raylet": "grpc", "dashboard": "http", "serve proxy": "http", "mlflow": "http",
}  # fmt: skip


def test_a_door_that_opens_more_than_health_breaks_the_law() -> None:
    health = Port(process="one", address="127.0.0.1", port=1, opened=("GET /healthz",))
    more = health.replace(opened=("GET /healthz", "GET /v1/models"))
    assert Exposure(doors=(health,), routes=1, token_mode="600").holds
    assert not Exposure(doors=(health,), routes=1, token_mode="644").holds
    open_one = Exposure(doors=(health, more), routes=1, token_mode="600")
    assert (open_one.holds, open_one.unexpected(more)) == (False, ["GET /v1/models"])


@pytest.mark.slow
def test_without_credentials_only_health_and_what_is_written_down_is_answered() -> None:
    need("bash")  # which runs the head's command
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="at-", ignore_cleanup_errors=True) as folder:
        result = scan_exposure(Path(folder), lines.append)
    assert result.holds, lines
    spoken = {(door.process, door.speaks) for door in result.doors}  # some listen on two ports
    assert spoken >= set(EXPECTED.items())
    assert result.routes > 400
    for door in result.doors:
        if door.speaks == "grpc":
            assert door.refused, door  # it was asked for something that it has
    healthy = {name for door in result.doors for name in door.opened} & HEALTH
    assert healthy >= {"GET /healthz", "GET /readyz", "GET /health", "GET /api/gcs_healthz"}
