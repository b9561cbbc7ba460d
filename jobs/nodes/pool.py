"""Pool: Ray's own autoscaler brings machines for a run and takes them away, on this machine.

It starts processes where a cloud would start machines, so its times are Ray's alone: those of a
cloud's machine and its image come on top.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

from app.errors import BackendError
from app.types import Value
from jobs.nodes.machines import LOOK_SECONDS, Machine, free_port, title
from jobs.trials import laws
from jobs.trials.calm import Say
from jobs.trials.home import CALM, Home, trial_plan
from jobs.trials.job import Job, cleared

HEAD = "f" * 51 + "00000"
"""The id that Ray's provider of pretended machines gives to the head."""
HEAD_TYPE = "ray.head.default"
"""What that provider takes the head for, whatever else is written."""
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
MEMORY = 100 * 2**20
IDLE_SECONDS = 5
MOST = 2
WISH = 4
PATIENCE_SECONDS = 300.0


class Pool(Value):
    """One run on a cluster without a GPU machine; seconds are from the command unless named."""

    images: int
    wished: int
    """GPU workers that the run asked for."""
    most: int
    """GPU machines that the cluster may have."""
    first_machine_seconds: float
    first_image_seconds: float
    most_machines: int
    """GPU machines that there were at once."""
    last_image_seconds: float
    empty_seconds: float
    """From the last image to the last GPU machine's end."""
    idle_seconds: float
    """Of that, what the autoscaler was told to wait."""
    cpu_tail_seconds: float
    """From the last image to the run's end."""
    empty_before_end: bool
    """Whether the GPU machines were gone while the run was still at work on CPUs."""
    lost: int
    broken: int

    @property
    def hold(self) -> bool:
        """Whether machines came and went, and nothing was lost or stuck."""
        return bool(self.most_machines) and not self.lost and not self.broken


def pool(images: int, seconds: float, folder: Path, say: Say) -> Pool:
    """A run that wishes for more machines than it may have; finishing takes a while after it."""
    home = Home(folder / "h")
    sizes = [f"{side}x{side}" for side in range(128, 32, -8)]
    said = {"candidates": 1, "attempts": 1, "sizes": sizes, "rules": list(CALM)}
    plan = home.write(trial_plan(images, **said))
    slow = home.environment(ATELIER_ECHO_SECONDS=str(seconds))
    counted: list[tuple[float, int]] = []
    with _head(folder / "m", slow) as (head, joining):
        began = time()
        environment = home.environment(**joining, ATELIER_CLUSTER_GPUS=str(WISH))
        job = Job(plan, environment, workers=WISH)

        def look() -> int:
            counted.append((time(), _gpu_machines(head)))
            return counted[-1][1]

        with cleared([job]):
            _until(lambda: not job.running, look)
            ended = time()
            code, output = job.end()
            say(f"the run has ended with {code}")
            _until(lambda: counted[-1][1] == 0, look)
    if code != 0:
        raise BackendError(f"the run on the pool: {output}", backend="bulk")
    moments = sorted(when for when, _ in home.painted())
    there = [when for when, number in counted if number]
    gone = next(when for when, number in counted if when > there[-1] and number == 0)
    return Pool(
        images=images,
        wished=WISH,
        most=MOST,
        first_machine_seconds=round(there[0] - began, 1),
        first_image_seconds=round(moments[0] - began, 1),
        most_machines=max(number for _, number in counted),
        last_image_seconds=round(moments[-1] - began, 1),
        empty_seconds=round(gone - moments[-1], 1),
        idle_seconds=IDLE_SECONDS,
        cpu_tail_seconds=round(ended - moments[-1], 1),
        empty_before_end=gone < ended,
        lost=2 * images - len(laws.seen(home)),
        broken=sum(laws.broken(home).values()) + int(json.loads(output)["accepted"] != images),
    )


def _until(done: Callable[[], bool], look: Callable[[], int]) -> None:
    """Raises BackendError when it never comes to that: something is stuck."""
    started = monotonic()
    while not done():
        machines = look()
        if monotonic() - started > PATIENCE_SECONDS:
            raise BackendError(f"nothing moves, with {machines} GPU machines", backend="ray")
        sleep(LOOK_SECONDS)


@contextmanager
def _head(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[Machine, dict[str, str]]]:
    """A head with CPUs for the stages beside generation, and how to come to it."""
    folder.mkdir(parents=True)
    port, token, described = free_port(), folder / "token", folder / "cluster.json"
    token.write_text("0" * 64)
    token.chmod(0o600)
    described.write_text(json.dumps(_described(port)))
    key = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    options = ["--head", f"--port={port}", f"--autoscaling-config={described}", "--num-gpus=0"]
    options += ["--num-cpus=2", f"--temp-dir={folder / 'r'}", "--include-dashboard=false"]
    head = Machine("head", options, {**environment, **key, **AUTOSCALER}, folder / "head.log")
    try:
        head.await_started()
        yield head, {**key, "RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        head.kill()


def _gpu_machines(head: Machine) -> int:
    """Raylets that have a GPU to give; the provider's machines are processes of the head's."""
    said = [title(one) for one in head.processes()]
    return sum("raylet/raylet " in one and ",GPU,1," in one for one in said)


def _described(port: int) -> dict[str, Any]:
    machine = {"CPU": 0, "GPU": 1, "object_store_memory": MEMORY}
    pool = {"resources": machine, "node_config": {}, "min_workers": 0, "max_workers": MOST}
    head = {"resources": {"CPU": 2}, "node_config": {}, "max_workers": 0}
    rest: dict[str, Any] = {name: [] for name in LISTS}
    rest |= {"auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False}
    return rest | {
        "cluster_name": "pool",
        "max_workers": MOST,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": IDLE_SECONDS / 60,
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
