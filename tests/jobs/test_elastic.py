"""A cluster that has no GPU until a run asks for one: Ray's autoscaler, with machines that are
processes of this one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.test_bulk import Home, plan_of
from tests.jobs.test_submit import free_port

HEAD = "f" * 51 + "00000"
HEAD_TYPE = "ray.head.default"
"""The id and the type that Ray's provider of pretended machines gives to the head."""
LISTS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files",
    "rsync_exclude", "rsync_filter",
)  # fmt: skip


def described(port: int) -> dict[str, Any]:
    """A head and a pool of at most two machines with a GPU each, none of them running."""
    machine = {"CPU": 2, "GPU": 1, "object_store_memory": 200_000_000}
    pool = {"resources": machine, "node_config": {}, "min_workers": 0, "max_workers": 2}
    head = {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0}
    provider = {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "gcs_address": f"127.0.0.1:{port}",
        "head_node_id": HEAD,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
    }
    rest: dict[str, Any] = {name: [] for name in LISTS}
    rest |= {"auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False}
    return rest | {
        "cluster_name": "elastic",
        "max_workers": 2,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 10,
        "head_node_type": HEAD_TYPE,
        "available_node_types": {HEAD_TYPE: head, "gpu": pool},
        "provider": provider,
    }


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose runs join the cluster."""
    folder, port = tmp_path_factory.mktemp("e"), free_port()
    (folder / "cluster.json").write_text(json.dumps(described(port)))
    (folder / "token").write_text("0" * 64)
    home = Home(folder)
    home.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "ATELIER_CLUSTER_GPUS": "2",
    }
    head = {
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    command = [
        str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}",
        f"--autoscaling-config={folder / 'cluster.json'}", f"--temp-dir={folder / 'ray'}",
        "--num-cpus=2", "--num-gpus=0", "--object-store-memory=200000000",
        "--include-dashboard=false", "--disable-usage-stats", "--node-ip-address=127.0.0.1",
    ]  # fmt: skip
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(
            command, env=home.environment | head, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    home.environment["RAY_ADDRESS"] = f"127.0.0.1:{port}"
    try:
        await_listener(port)
        yield home
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def await_listener(port: int) -> None:
    """Until the head's GCS takes connections; pytest's own timeout ends a head that never does."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.2)


@pytest.mark.slow
def test_a_run_asks_for_machines_with_gpus_that_are_not_there_yet(home: Home) -> None:
    colours = [f"tone{number}" for number in range(40)]
    done = home.run(home.write(plan_of(colours)))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["asked"], summary["accepted"]) == (120, 120)
    program = "import ray; ray.init(log_to_driver=False); print(ray.cluster_resources()['GPU'])"
    grown = subprocess.run(
        [sys.executable, "-c", program], env=home.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert float(grown.stdout) >= 1, grown.stderr
