"""Knocking at doors: what is open, shut or silent is told apart, at servers that really listen."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import psutil
from prometheus_client import CollectorRegistry, start_http_server

from jobs.bench.cluster.port_scan import ALL_ROUTES, Port, listening_ports, probe_port

STATS = "/ray.rpc.NodeManagerService/GetNodeStats"
DRAIN = "/ray.rpc.NodeManagerService/DrainRaylet"
STATUSES = {"/healthz": 200, "/secret": 401, "/moved": 307}


def port_at(port: int, address: str = "127.0.0.1") -> Port:
    return Port(process="one", address=address, port=port)


class Handler(BaseHTTPRequestHandler):
    """Health is for everybody, a secret for nobody here, and there is nothing else."""

    def do_GET(self) -> None:
        self.send_response(STATUSES.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is asked is the test's own."""


@contextmanager
def http_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Stats(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers one method to anybody and refuses another."""

    def service(self, details: Any) -> Any:
        if details.method == STATS:
            return grpc.unary_unary_rpc_method_handler(lambda message, context: b"")
        if details.method == DRAIN:
            return grpc.unary_unary_rpc_method_handler(self._refuse)
        return None

    def _refuse(self, message: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        return b""


@contextmanager
def grpc_server() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Stats()])
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_of_a_server_of_pages_each_route_is_open_refused_or_absent() -> None:
    routes = [("GET", path) for path in ("/healthz", "/secret", "/moved", "/other")]
    with http_server() as port:
        probed = probe_port(port_at(port), routes)
    assert (probed.speaks, probed.refused, probed.absent) == ("http", 1, 1)
    assert probed.opened == ("GET /healthz", "GET /moved")


def test_a_server_of_metrics_opens_everything() -> None:
    server, thread = start_http_server(0, "127.0.0.1", CollectorRegistry())
    try:
        probed = probe_port(port_at(server.server_port), [("GET", "/metrics")])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert probed.opened == (ALL_ROUTES,)


def test_a_method_that_is_answered_without_a_token_is_open() -> None:
    with grpc_server() as port:
        probed = probe_port(port_at(port), [])
    assert (probed.speaks, probed.refused, probed.opened) == ("grpc", 1, (STATS,))
    assert probed.absent > 100  # every other method that Ray declares


def test_who_says_nothing_speaks_neither() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert probe_port(port_at(silent.getsockname()[1]), [], patience=0.5).speaks == "silence"


def test_every_socket_of_a_process_is_found_and_who_reaches_it_is_said() -> None:
    with socket.socket() as first, socket.socket() as other:
        for each, address in ((first, "127.0.0.1"), (other, "0.0.0.0")):
            each.bind((address, 0))
            each.listen()
        ports = [each.getsockname()[1] for each in (first, other)]
        doors = {each.port: each for each in listening_ports([psutil.Process()])}
    assert [doors[port].reachable_from for port in ports] == ["this machine", "every interface"]
    assert port_at(1, "192.0.2.7").reachable_from == "the network of the machines"
    assert port_at(1, "::ffff:127.0.0.1").reachable_from == "this machine"
