"""Exposure: what a secured cluster answers to a client on its network without credentials.

Every socket on which one of its processes listens is found and called: with each route that Ray's
servers, our service and MLflow have, and with each method that Ray declares or a server lists.
Health is open to everybody; what else Ray and MLflow open, and cannot be closed, is listed here one
by one, and anything beyond that is a failure.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import ray
import requests

from app.cli.output import Say
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.port_scan import (
    ALL_ROUTES,
    REFLECTION,
    Port,
    Route,
    listening_ports,
    probe_port,
)
from jobs.bench.cluster.secured_cluster import ROOT, SecuredCluster, secured_cluster

HEALTH = frozenset(
    {
        "GET /healthz", "GET /readyz", "GET /-/healthz", "GET /health", "GET /api/healthz",
        "GET /api/gcs_healthz", "GET /api/local_raylet_healthz", "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }
)  # fmt: skip
CHANNELZ = "/grpc.channelz.v1.Channelz"
STATED = {
    ALL_ROUTES: "numbers for Prometheus, which Ray has no key for: the network must keep it inside",
    CHANNELZ: "which connections a server has, by gRPC itself: the network must keep it inside",
    REFLECTION: "the names of a server's methods, which are published with Ray's source",
    "GET /": "the page itself, which asks for the key or the token",
    "GET /static/x": "files of pages, the same for everybody",
    "GET /favicon.ico": "an image",
    "GET /api/authentication_mode": "that a token is asked for",
    "GET /api/3.0/mlflow/server-info": "how MLflow is configured, so that clients can log in",
    "GET /ajax-api/3.0/mlflow/server-info": "how MLflow is configured, so that clients can log in",
}
"""What is answered besides health, and why it may be."""
ROUTE = re.compile(r'routes\.(get|post|put|delete|patch|head)\(\s*f?"([^"]+)"')
ADDED = re.compile(r'add_(get|post|put|delete)\(\s*"([^"]+)"')
STANDARD_ROUTES: tuple[Route, ...] = (
    ("GET", "/"), ("GET", "/metrics"), ("GET", "/static/x"), ("GET", "/favicon.ico"),
    ("GET", "/-/routes"), ("GET", "/-/healthz"), ("GET", "/docs"), ("GET", "/openapi.json"),
)  # fmt: skip
MLFLOW = """
import json
from mlflow.server import app
from mlflow.server.auth import create_app
from mlflow.server.fastapi_app import create_fastapi_app
create_app(app)
declared = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods}
def walk(routes):
    for route in routes:
        declared.update((method, route.path) for method in getattr(route, "methods", None) or ())
        walk(getattr(route, "routes", None) or ())
walk(create_fastapi_app(app).routes)
print(json.dumps(sorted(declared)))
"""
"""Run in a process of its own, with MLflow's accounts, to list the routes of MLflow."""


def stated_reason(name: str) -> str:
    """Returns why a route or a method may be open; empty when it is not listed."""
    return STATED.get(CHANNELZ if name.startswith(CHANNELZ) else name, "")


class Exposure(Value):
    """Every port of the profile, and whether its secrets are readable by the owner alone."""

    doors: tuple[Port, ...]
    routes: int
    """HTTP methods and paths that were tried, of all servers together."""
    token_mode: str
    """Of the token's file, as an octal number: 600."""

    def unexpected(self, port: Port) -> list[str]:
        """Returns what a port opens that is neither health nor listed."""
        return [name for name in port.opened if name not in HEALTH and not stated_reason(name)]

    @property
    def holds(self) -> bool:
        """Returns whether nothing is open except health and what is listed."""
        return self.token_mode == "600" and not any(self.unexpected(port) for port in self.doors)


def scan_exposure(folder: Path, say: Say) -> Exposure:
    """Starts the profile, calls all its ports, and ends it."""
    with secured_cluster(folder) as profile:
        say("the cluster runs")
        routes = _routes(profile)
        count = sum(map(len, routes.values()))
        ports = []
        for port in listening_ports(profile.processes):
            own = routes.get(port.port, routes[0])
            ports.append(probe_port(port, own))
            say(str(ports[-1]))
        mode = f"{profile.token.stat().st_mode & 0o777:o}"
    return Exposure(doors=tuple(ports), routes=count, token_mode=mode)


def _routes(profile: SecuredCluster) -> dict[int, list[Route]]:
    """Returns the routes of the service and of MLflow by their ports; Ray's under 0."""
    return {
        _port(profile.service_url): _of_service(profile),
        _port(profile.mlflow_url): _of_mlflow(profile),
        0: _of_ray(),
    }


def _of_ray() -> list[Route]:
    """Returns the routes that Ray's dashboard, agents and job server declare in their source."""
    root = Path(ray.__file__).parent
    files = [*(root / "dashboard").rglob("*.py"), *(root / "_private/runtime_env").rglob("*.py")]
    texts = [file.read_text() for file in files]
    declared = [route for text in texts for rule in (ROUTE, ADDED) for route in rule.findall(text)]
    return _filled((method.upper(), path) for method, path in [*declared, *STANDARD_ROUTES])


def _of_service(profile: SecuredCluster) -> list[Route]:
    """Returns the routes of the service's OpenAPI document, read with a key."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {profile.key}"
        response = session.get(f"{profile.service_url}/openapi.json", timeout=60)
        if not response.ok:
            raise BackendError(
                f"the service answered {response.status_code} to a request for its routes",
                backend="serve",
            )
        paths = response.json()["paths"]
    own = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return _filled([*own, *STANDARD_ROUTES])


def _of_mlflow(profile: SecuredCluster) -> list[Route]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MLFLOW], env=dict(profile.mlflow_environment),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BackendError(
            f"the routes of MLflow cannot be listed: {done.stderr[-500:]}", backend="mlflow"
        )
    routes = [(method, path) for method, path in json.loads(done.stdout.splitlines()[-1])]
    return _filled([*routes, *STANDARD_ROUTES])


def _filled(routes: Iterable[Route]) -> list[Route]:
    """Returns each route once, `x` as each path parameter; HEAD and OPTIONS only repeat others."""
    filled = {
        (method, re.sub(r"\{[^}]*\}|<[^>]*>", "x", path))
        for method, path in routes
        if method not in ("OPTIONS", "HEAD")
    }
    return sorted(filled)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
