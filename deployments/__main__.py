"""Runs `atelier serve`: starts the service on this machine."""

import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from app.api.keys import read_keys
from app.cli.output import exit_codes
from app.environment import use_strict_blas
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, add_completion=False)


@commands.callback()
def service_commands() -> None:
    """Run the interactive service."""  # with a callback the one command keeps its name


@commands.command(epilog="Example: atelier serve --port 8080")
def serve(
    host: Annotated[str, typer.Option(help="Where to listen; else what the config says.")] = "",
    port: Annotated[int, typer.Option(help="The port; else what the config says.")] = 0,
    config: Annotated[Path | None, typer.Option(help="Instead of deployments/serve.yaml.")] = None,
) -> None:
    """Start Ray and the service here; Ctrl-C stops both after running calls have finished."""
    from deployments.launch_environment import ray_environment

    with exit_codes(as_json=False), ray_environment() as folder:
        from deployments.launch import CONFIG, read_config, running_service

        signal.signal(signal.SIGTERM, _interrupt)
        stdout = sys.stdout  # ours; what Ray prints meanwhile goes to stderr
        shape = read_config(config or CONFIG)
        at = shape.http_options
        with running_service(
            shape, host=host or at.host, port=port or at.port, folder=folder
        ) as address:
            signal.signal(signal.SIGTERM, _interrupt)  # Ray installed its own handler
            print(f"{address} answers{_audience()}; Ctrl-C stops it", file=stdout, flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
            print("finishing what is under way", file=stdout, flush=True)


def _audience() -> str:
    keys = read_keys(Settings().home)
    return "" if keys.required else " this machine alone, for there are no keys"


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("stopped")


if __name__ == "__main__":
    use_strict_blas()
    commands(prog_name="atelier")
