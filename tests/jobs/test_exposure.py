"""The profile of `cluster.yaml` on this machine: nobody without credentials is told anything."""

import tempfile
from pathlib import Path

import pytest

from jobs.bench.cluster.exposure import HEALTH, Exposure, exposure
from jobs.bench.cluster.port_scan import Door
from tests.programs import need

EXPECTED = {
    "gcs": "grpc", "raylet": "grpc", "dashboard": "http", "serve proxy": "http", "mlflow": "http",
}  # fmt: skip


def test_a_door_that_opens_more_than_health_breaks_the_law() -> None:
    health = Door(process="one", address="127.0.0.1", port=1, opened=("GET /healthz",))
    more = health.replace(opened=("GET /healthz", "GET /v1/models"))
    assert Exposure(doors=(health,), routes=1, token_mode="600").hold
    assert not Exposure(doors=(health,), routes=1, token_mode="644").hold
    open_one = Exposure(doors=(health, more), routes=1, token_mode="600")
    assert (open_one.hold, open_one.beyond(more)) == (False, ["GET /v1/models"])


@pytest.mark.slow
def test_without_credentials_only_health_and_what_is_written_down_is_answered() -> None:
    need("bash")  # which runs the head's command
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="at-", ignore_cleanup_errors=True) as folder:
        found = exposure(Path(folder), said.append)
    assert found.hold, said
    spoken = {door.process: door.speaks for door in found.doors}
    assert spoken.items() >= EXPECTED.items()
    assert found.routes > 400
    for door in found.doors:
        if door.speaks == "grpc":
            assert door.refused, door  # it was asked for something that it has
    healthy = {name for door in found.doors for name in door.opened} & HEALTH
    assert healthy >= {"GET /healthz", "GET /readyz", "GET /health", "GET /api/gcs_healthz"}
