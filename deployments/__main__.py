"""Runs `atelier serve`: starts the service on this machine."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Annotated

import typer

from app.api.keys import read_keys
from app.cli.output import exit_codes
from app.environment import use_strict_blas
from app.errors import InvalidRequest
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, add_completion=False)


@commands.callback()
def service_commands() -> None:
    """Run the interactive service."""  # with a callback the one command keeps its name


@commands.command(epilog="Example: atelier serve --port 8080")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; default: the config's.")] = "",
    port: Annotated[int, typer.Option(help="Port; default: the config's.")] = 0,
    config: Annotated[
        Path | None, typer.Option(help="Serve config; default: deployments/serve.yaml.")
    ] = None,
) -> None:
    """Start Ray and the service on this machine; Ctrl-C finishes running calls and stops both."""
    with exit_codes(as_json=False), ray_environment() as folder:
        _require_serve()
        from deployments.launch import CONFIG, read_config, running_service  # imports Ray

        signal.signal(signal.SIGTERM, _interrupt)
        stdout = sys.stdout  # for our messages: `running_service` sends Ray's to stderr
        serve_config = read_config(config or CONFIG)
        http = serve_config.http_options
        with running_service(
            serve_config, host=host or http.host, port=port or http.port, folder=folder
        ) as address:
            signal.signal(signal.SIGTERM, _interrupt)  # Ray installed its own handler
            print(f"{address} answers{_callers()}; Ctrl-C stops it", file=stdout, flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
            print("finishing running calls", file=stdout, flush=True)


def _require_serve() -> None:
    if find_spec("fastapi") is None:
        raise InvalidRequest(
            "the service needs fastapi, which is not installed; run: pip install 'atelier[serve]'"
        )


@contextmanager
def ray_environment() -> Iterator[Path]:
    """Yields a private folder for Ray's files, and sets what Ray reads when it is imported.

    Ray asks for a token in every call, and its own sockets stay on loopback, on Linux as on other
    systems. With `RAY_ADDRESS` set nothing is changed: the cluster's settings apply.
    """
    with TemporaryDirectory(prefix="atelier-", ignore_cleanup_errors=True) as folder:
        if not os.environ.get("RAY_ADDRESS"):
            token = Path(folder) / "token"
            token.touch(mode=0o600)  # Ray's own file would be readable by all users
            token.write_text(token_hex(32))
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
            os.environ.pop("RAY_AUTH_TOKEN", None)
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        yield Path(folder)


def _callers() -> str:
    keys = read_keys(Settings().home)
    return "" if keys.required else " only this machine, because there are no keys"


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("stopped")


if __name__ == "__main__":
    use_strict_blas()
    commands(prog_name="atelier")
