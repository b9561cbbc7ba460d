"""Calls sockets without credentials: which ones listen, and what each of them answers."""

import http.client
import importlib
import os
import pkgutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped]
import psutil
import ray.core.generated
from google.protobuf.descriptor_pool import DescriptorPool  # type: ignore[import-untyped]
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

from app.types import Value

Route: TypeAlias = tuple[str, str]
"""An HTTP method and a path."""
WAIT_SECONDS = 20.0
REFUSED = (401, 403)
ALL_ROUTES = "everything"
NO_PATH = "/no-such-port"
GRPC_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
GRPC_SHUT = (*GRPC_REFUSED, grpc.StatusCode.UNIMPLEMENTED)
METADATA = (("node_id", "f" * 56),)
"""A call to the GCS's syncer that lacks this ends the GCS of Ray 2.60, before its token is checked.
Only the network prevents that; with it the other ports can be tested as well.
"""
HEALTH_METHODS = (
    "/grpc.health.v1.Health/Check",
    "/ray.rpc.ObjectManagerService/Pull",
    "/ray.rpc.ObjectManagerService/Push",
    "/ray.serve.ASGIService/HandleRequest",
    "/ray.serve.ASGIService/HandleRequestStreaming",
    "/ray.serve.ASGIService/HandleRequestWithRejection",
    "/ray.serve.ASGIService/HandleRequestWithRejectionStreaming",
    "/ray.serve.RayServeAPIService/ListApplications",
    "/ray.serve.RayServeAPIService/Healthz",
)
"""What Ray's core does not declare to Python, and what Serve declares."""
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class Port(Value):
    """A listening socket, and what it answered to somebody without credentials."""

    process: str
    address: str
    port: int
    speaks: str = ""
    """`http`, `grpc`, or `silence` for what speaks neither."""
    refused: int = 0
    """Routes or methods that asked for credentials."""
    absent: int = 0
    """Those that it does not have, or that failed before anything was done: 404, 405, 5xx."""
    opened: tuple[str, ...] = ()
    """Those that were answered."""

    @property
    def reachable_from(self) -> str:
        """Returns who can reach it, as far as the socket itself shows."""
        address = ip_address(self.address.removeprefix("::ffff:"))
        if address.is_loopback:
            return "this machine"
        return "every interface" if address.is_unspecified else "the network of the machines"


def listening_ports(processes: Iterable[psutil.Process]) -> list[Port]:
    """Returns the TCP sockets on which these processes listen, each once; skips ended processes."""
    ports: dict[tuple[str, int], Port] = {}
    for process in processes:
        with suppress(psutil.Error):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    port = Port(
                        process=_named(process),
                        address=connection.laddr.ip,
                        port=connection.laddr.port,
                    )
                    ports.setdefault((port.address, port.port), port)
    return sorted(ports.values(), key=lambda port: (port.process, port.port, port.address))


def session_processes(leader: int) -> list[psutil.Process]:
    """Returns the living processes of a session, even without a parent."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == leader:
                members.append(process)
    return members


def probe_port(port: Port, routes: Iterable[Route], *, patience: float = WAIT_SECONDS) -> Port:
    """Returns the port with the results of calling every route, or every gRPC method of Ray."""
    if not _speaks_http(port, patience):
        return _probe_grpc(port, patience)
    if _status(port, "GET", NO_PATH, patience) == 200:  # a server of metrics, whatever the path
        return port.replace(speaks="http", opened=(ALL_ROUTES,))
    statuses = [
        (f"{method} {path}", _status(port, method, path, patience)) for method, path in routes
    ]
    return port.replace(
        speaks="http",
        refused=sum(status in REFUSED for _, status in statuses),
        absent=sum(status not in REFUSED and not _opens(status) for _, status in statuses),
        opened=tuple(sorted(name for name, status in statuses if _opens(status))),
    )


def _opens(status: int) -> bool:
    return 200 <= status < 400


def _speaks_http(port: Port, patience: float) -> bool:
    with suppress(http.client.HTTPException, OSError):
        _status(port, "GET", "/", patience)
        return True
    return False


def _status(port: Port, method: str, path: str, patience: float) -> int:
    connection = http.client.HTTPConnection(_host(port), port.port, timeout=patience)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def _probe_grpc(port: Port, patience: float) -> Port:
    with grpc.insecure_channel(f"{_host(port)}:{port.port}") as channel:
        if not _speaks_grpc(channel, patience):
            return port.replace(speaks="silence")
        reflected = _reflected(channel)
        tried = dict.fromkeys((*_methods(), *HEALTH_METHODS, *reflected))
        codes = {name: _code(channel, name, patience) for name in tried}
    absent = sum(code is grpc.StatusCode.UNIMPLEMENTED for code in codes.values())
    refused = [name for name, code in codes.items() if code in GRPC_REFUSED]
    opened = [name for name, code in codes.items() if code not in GRPC_SHUT]
    opened += [REFLECTION] if reflected else []
    return port.replace(
        speaks="grpc", refused=len(refused), absent=absent, opened=tuple(sorted(opened))
    )


def _speaks_grpc(channel: Any, patience: float) -> bool:
    with suppress(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(timeout=patience)
        return True
    return False


def _code(channel: Any, method: str, patience: float) -> Any:
    """Returns the status of an empty message; a server that reads it before the token is open."""
    call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    try:
        call(b"", timeout=patience, metadata=METADATA)
    except grpc.RpcError as refused:
        return refused.code()
    return grpc.StatusCode.OK


def _reflected(channel: Any) -> list[str]:
    """Returns the methods that a server lists itself."""
    names: list[str] = []
    with suppress(grpc.RpcError):
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        for name in database.get_services():
            with suppress(KeyError):  # it lists a service whose methods it does not describe
                methods = pool.FindServiceByName(name).methods
                names += [f"/{name}/{method.name}" for method in methods]
    return [name for name in names if "reflection" not in name]


@cache
def _methods() -> tuple[str, ...]:
    """Returns every method that is declared anywhere in Ray."""
    return tuple(_declared())


def _declared() -> Iterator[str]:
    for module in pkgutil.iter_modules(ray.core.generated.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"ray.core.generated.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


def _host(port: Port) -> str:
    """Returns where it is reached from here; a socket on all addresses listens on loopback too."""
    address = ip_address(port.address.removeprefix("::ffff:"))
    return "127.0.0.1" if address.is_unspecified or address.version == 6 else str(address)


def _named(process: psutil.Process) -> str:
    """Returns a readable name of the process."""
    words = process.cmdline() or [process.name()]
    for known, name in NAMES.items():
        if any(known in word for word in words):
            return name
    return str(words[0]).rpartition("/")[2][:40]


NAMES = {
    "gcs_server": "gcs",
    "raylet/raylet": "raylet",
    "dashboard/dashboard.py": "dashboard",
    "ray.util.client.server": "client server",
    "autoscaler/v2/monitor.py": "autoscaler",
    "autoscaler/_private/monitor.py": "autoscaler",
    "ray::DashboardAgent": "agent",
    "dashboard/agent.py": "agent",
    "ray::RuntimeEnvAgent": "environments",
    "runtime_env/agent/main.py": "environments",
    "ProxyActor": "serve proxy",
    "ServeController": "serve controller",
    "ServeReplica": "serve replica",
    "mlflow": "mlflow",
}
