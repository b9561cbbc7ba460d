"""The command that starts MLflow's own page over the registry, visible to this machine only."""

import os
import sys

from app.registry.registry import QUIET
from app.settings import Settings


def ui_command(settings: Settings, port: int) -> tuple[list[str], dict[str, str]]:
    """Returns the command and environment of MLflow's own page over a file, on loopback only.

    The command is empty for a registry on a server: its address is its page. Job execution is off,
    because it can run what a caller sends.
    """
    environment = os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if not settings.registry.startswith("sqlite:"):
        return [], environment
    settings.home.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", settings.registry,
        "--default-artifact-root", (settings.home / "mlflow").as_uri(), "--no-serve-artifacts",
    ]  # fmt: skip
    return command, environment
