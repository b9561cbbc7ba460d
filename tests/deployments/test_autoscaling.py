"""Replicas by schedule: the floor under Serve's own decision, and what of a schedule is refused."""

import tempfile
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from app.errors import InvalidRequest
from tests.deployments.service_process import Service, replicas

CONFIG = Path(__file__).parents[2] / "deployments" / "serve.yaml"
WINDOW = {
    "days": ["mon"],
    "from": "08:30",
    "to": "10:00",
    "zone": "Europe/Berlin",
    "lead_seconds": 900,
    "min_replicas": 3,
}


@pytest.fixture(autouse=True)
def ray_may_warn() -> Iterator[None]:
    """Ray's own modules use what pydantic deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def document(schedule: Any) -> dict[str, Any]:
    shape: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    shape["applications"][0]["args"]["draft"]["schedule"] = schedule
    return shape


def config_of(schedule: Any, tmp_path: Path) -> Any:
    """The autoscaling of the draft role, as Serve's controller is given it."""
    from deployments.application import build
    from deployments.launch import args_of, read_config

    file = tmp_path / "serve.yaml"
    file.write_text(yaml.safe_dump(document(schedule)))
    router = build(args_of(read_config(file)))._bound_deployment
    draft = next(deployment for deployment in router.init_args[3].values())._bound_deployment
    assert draft.name == "draft"
    return draft._deployment_config.autoscaling_config


def decided(config: Any, hour: int, minute: int, *, replicas: int, requests: float) -> int:
    """What Serve makes of its policy, its delays and its bounds on a Monday in Berlin."""
    from ray.serve._private.autoscaling_state import _resolve_policy_callable
    from ray.serve._private.common import DeploymentID
    from ray.serve.config import AutoscalingContext

    moment = datetime(2026, 11, 23, hour, minute, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    context = AutoscalingContext(
        deployment_id=DeploymentID("draft"), deployment_name="draft", app_name="atelier",
        current_num_replicas=replicas, target_num_replicas=replicas, running_replicas=[],
        total_num_requests=requests, total_queued_requests=0, aggregated_metrics={},
        raw_metrics={}, capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas, policy_state={},
        last_scale_up_time=None, last_scale_down_time=None, current_time=moment, config=config,
    )  # fmt: skip
    wanted, _ = _resolve_policy_callable(config.policy)(context)
    return int(wanted)


def test_in_a_window_and_its_lead_there_are_no_fewer_than_it_says(tmp_path: Path) -> None:
    config = config_of([WINDOW], tmp_path)
    clock = {(8, 14): 0, (8, 15): 3, (8, 30): 3, (9, 59): 3, (10, 0): 0}
    for (hour, minute), wanted in clock.items():
        assert decided(config, hour, minute, replicas=1, requests=0) == wanted


def test_from_nothing_the_window_brings_them_all(tmp_path: Path) -> None:
    config = config_of([WINDOW], tmp_path)
    assert decided(config, 9, 0, replicas=0, requests=0) == 3
    assert decided(config, 11, 0, replicas=0, requests=0) == 0


def test_the_load_asks_for_more_than_the_window(tmp_path: Path) -> None:
    config = config_of([WINDOW], tmp_path)
    target = config.target_ongoing_requests
    assert decided(config, 9, 0, replicas=2, requests=4 * target) == 4
    assert decided(config, 11, 0, replicas=2, requests=4 * target) == 4


def test_of_windows_that_overlap_the_most_counts(tmp_path: Path) -> None:
    config = config_of([WINDOW, WINDOW | {"min_replicas": 4, "lead_seconds": 0}], tmp_path)
    assert decided(config, 8, 20, replicas=1, requests=0) == 3
    assert decided(config, 8, 30, replicas=1, requests=0) == 4


def test_a_floor_beyond_what_the_cluster_may_have_asks_for_no_more(tmp_path: Path) -> None:
    config = config_of([WINDOW], tmp_path)
    lower = config.model_copy(update={"max_replicas": 2})
    assert decided(lower, 9, 0, replicas=1, requests=0) == 2


def test_a_role_without_a_schedule_keeps_serves_own_policy(tmp_path: Path) -> None:
    assert config_of([], tmp_path).policy.is_default_policy_function()
    assert not config_of([WINDOW], tmp_path).policy.is_default_policy_function()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zone": "Mars/Olympus"}, "zone 'Mars/Olympus' is not in the time zone database"),
        ({"min_replicas": 5}, "min_replicas 5, more than max_replicas 4 of this role"),
        ({"min_replicas": 0}, "min_replicas"),
        ({"to": "08:30"}, "from 08:30 to 08:30 is empty"),
        ({"max_replicas": 9}, "max_replicas"),
    ],
)
def test_a_bad_schedule_is_refused_before_anything_starts(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    from deployments.launch import args_of, read_config

    file = tmp_path / "serve.yaml"
    file.write_text(yaml.safe_dump(document([WINDOW | change])))
    with pytest.raises(InvalidRequest, match=message):
        args_of(read_config(file))


def test_the_windows_that_the_file_shows_are_windows() -> None:
    from app.types.schedule import ReplicaWindow

    lines = CONFIG.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.strip() == "# schedule:")
    shown = [line.split("# ", 1)[1] for line in lines[first:] if line.strip().startswith("# ")]
    (window,) = yaml.safe_load("\n".join(shown))["schedule"]
    assert ReplicaWindow.model_validate(window).min_replicas == 4


@pytest.mark.slow
def test_replicas_come_by_the_schedule_while_nobody_calls() -> None:
    def always_two(args: dict[str, Any]) -> None:
        for role in ("polish", "typography"):
            args.pop(role)
        args["draft"]["replicas"] |= {"min_replicas": 0, "max_replicas": 3}
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        whole = {"days": days, "from": "00:00", "to": "24:00", "min_replicas": 2}
        args["draft"]["schedule"] = [WINDOW | whole]

    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), always_two)
        try:
            assert " answers " in service.said
            while len(replicas(service, "draft")) < 2:
                sleep(0.2)
        finally:
            service.stop()
