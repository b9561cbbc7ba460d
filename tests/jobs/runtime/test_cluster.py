"""A run on one machine starts quickly: no process and no package that it does not use."""

import subprocess
import sys

import psutil
import pytest

from jobs.runtime.cluster import joined_cluster

UNUSED = ("dashboard/dashboard.py", "autoscaler/_private/monitor.py", "log_monitor.py")


@pytest.mark.slow
def test_a_local_cluster_has_no_dashboard_autoscaler_or_log_monitor() -> None:
    with joined_cluster():
        children = psutil.Process().children(recursive=True)
        commands = [" ".join(child.cmdline()) for child in children]
    assert any("raylet" in command for command in commands)
    assert not [command for command in commands if any(part in command for part in UNUSED)]


@pytest.mark.parametrize("stage", ["jobs.bulk", "jobs.stages.finish", "jobs.stages.pack"])
def test_only_the_stages_with_networks_load_torch(stage: str) -> None:
    code = f"import sys, {stage}; print([m for m in ('torch', 'ray.data') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
