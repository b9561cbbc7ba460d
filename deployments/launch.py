"""Starts Ray and Serve on this machine, with Ray's sockets on loopback, and shuts them down."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve
from ray.serve.schema import ServeDeploySchema

from app.api.keys import read_keys
from app.errors import InvalidRequest
from app.ray_environment import quiet_start
from app.settings import Settings
from deployments.application import build
from deployments.args import ServiceArgs

CONFIG = Path(__file__).parent / "serve.yaml"
LOGICAL_CPUS = 4
"""At least this many, so that no replica waits on a machine with few cores: they use fractions."""
OBJECT_STORE_BYTES = 200 * 2**20


def read_config(file: Path = CONFIG) -> ServeDeploySchema:
    """Returns the Serve config, validated by Ray's schema; raises InvalidRequest."""
    try:
        return ServeDeploySchema.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        raise InvalidRequest(f"{file} is not a Serve config: {exc}") from exc


def args_of(config: ServeDeploySchema) -> ServiceArgs:
    """Returns the arguments of the config's one application; raises InvalidRequest."""
    (application,) = config.applications
    try:
        return ServiceArgs.model_validate(application.args)
    except ValueError as exc:
        raise InvalidRequest(f"the args of {application.name} are not valid: {exc}") from exc


@contextmanager
def running_service(
    config: ServeDeploySchema, *, host: str, port: int, folder: Path
) -> Iterator[str]:
    """Yields the address of the running service; finishes running calls on exit.

    `folder` is for Ray's files; its path must be short because of its sockets.

    Raises InvalidRequest, before anything is started, when the port is taken, or when other
    machines can reach the host and there are no keys.
    """
    check_exposure(host, Settings().home)
    check_free(host, port)
    (application_config,) = config.applications
    application = build(args_of(config))
    options = config.http_options.model_dump() | {"host": host, "port": port}
    with _ray(folder), redirect_stdout(sys.stderr):  # Ray prints reports of its raylet
        try:
            serve.start(
                proxy_location=config.proxy_location,
                http_options=options,
                logging_config=config.logging_config,
            )
            serve.run(
                application,
                name=application_config.name,
                route_prefix=application_config.route_prefix,
                logging_config=config.logging_config,
            )
            yield f"http://{host}:{port}"
        finally:
            with redirect_stdout(StringIO()):  # Serve prints the end of its controller
                _finish(application_config.name)


def _finish(application: str) -> None:
    """Deletes the application first: `serve.shutdown` alone would cut all connections at once.

    Its replicas accept nothing new and finish their calls within the graceful shutdown timeout.
    """
    try:
        serve.delete(application)
    finally:
        serve.shutdown()


def check_exposure(host: str, home: Path) -> None:
    """Raises InvalidRequest when other machines can reach the host and there are no keys."""
    if not _is_loopback(host) and not read_keys(home).owners:
        raise InvalidRequest(
            f"other machines can reach host {host} and {home} has no keys; "
            "create a key first: atelier keys add NAME"
        )


def check_free(host: str, port: int) -> None:
    """Raises InvalidRequest when the port cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise InvalidRequest(
                f"{host}:{port} cannot be listened at ({exc.strerror}); give another --port"
            ) from exc


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _ray(folder: Path) -> Iterator[None]:
    """Joins the cluster of `RAY_ADDRESS`, or starts Ray in this folder."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    with quiet_start():
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **_local(folder))
    try:
        yield
    finally:
        ray.shutdown()


def _local(folder: Path) -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {}
    return {
        "include_dashboard": False,
        "num_cpus": max(os.cpu_count() or 1, LOGICAL_CPUS),
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(folder),
    }
