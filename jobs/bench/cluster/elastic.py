"""A head whose autoscaler adds machines with a GPU and removes them, on this machine.

It starts processes where a cloud would start machines.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.bench.cluster.machines import Machine, free_port, process_title

HEAD = "f" * 51 + "00000"
"""The id that Ray's fake machine provider gives to the head."""
HEAD_TYPE = "ray.head.default"
"""The type that this provider assigns to the head, whatever the config says."""
LISTS = (
    "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
    "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files",
    "rsync_exclude", "rsync_filter",
)  # fmt: skip
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
AUTOSCALER = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": HEAD,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
OBJECT_STORE_BYTES = 100 * 2**20
LABELS = {"class": "gpu"}
"""Of every machine that is added, as the pools of `cluster.yaml` have theirs."""
SLOT = {"slot": 1}
"""In place of memory, which this provider cannot report to the autoscaler."""


@contextmanager
def elastic_cluster(
    folder: Path, environment: Mapping[str, str], most: int, idle_seconds: float
) -> Iterator[tuple[Machine, dict[str, str]]]:
    """Yields a head with CPUs for the stages other than generation, and the environment to join it.

    The cluster may have up to `most` machines; each is removed after `idle_seconds` without work.
    """
    folder.mkdir(parents=True)
    port, token, described = free_port(), folder / "token", folder / "cluster.json"
    token.write_text("0" * 64)
    token.chmod(0o600)
    described.write_text(json.dumps(_described(port, most, idle_seconds)))
    key = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    options = ["--head", f"--port={port}", f"--autoscaling-config={described}", "--num-gpus=0"]
    options += ["--num-cpus=2", "--include-dashboard=false"]
    head = Machine("head", options, {**environment, **key, **AUTOSCALER}, folder / "head.log")
    try:
        head.await_started()
        yield head, {**key, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        head.kill()


def gpu_machines(head: Machine) -> int:
    """Counts the raylets with a GPU; the provider's machines are processes of the head's session.

    Counts distinct commands, because a raylet that forks shows up twice for a moment.
    """
    titles = {process_title(process) for process in head.processes()}
    return sum("raylet/raylet " in command and ",GPU,1," in command for command in titles)


def _described(port: int, most: int, idle_seconds: float) -> dict[str, Any]:
    machine = {"CPU": 0, "GPU": 1, "object_store_memory": OBJECT_STORE_BYTES, **SLOT}
    pool = {
        "resources": machine, "labels": LABELS, "node_config": {},
        "min_workers": 0, "max_workers": most,
    }  # fmt: skip
    head = {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0}
    rest: dict[str, Any] = {name: [] for name in LISTS}
    rest |= {"auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False}
    return rest | {
        "cluster_name": "pool",
        "max_workers": most,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": idle_seconds / 60,
        "head_node_type": HEAD_TYPE,
        "available_node_types": {HEAD_TYPE: head, "gpu": pool},
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": f"127.0.0.1:{port}",
            "head_node_id": HEAD,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "launch_multiple": True,
        },
    }
