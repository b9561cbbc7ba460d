"""Plans on a cluster: what travels, what is refused before, and one real head that takes jobs."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from app.errors import BackendUnavailable, InvalidRequest
from app.plan.read import read_plan
from app.settings import Settings
from app.store.publish import Store, open_store
from jobs.bench.cluster.machines import Machine, free_port
from tests.jobs.test_bulk import plan_of
from tests.programs import need


def write(folder: Path, plan: dict[str, Any]) -> Path:
    path = folder / "plan.yaml"
    path.write_text(json.dumps(plan))
    return path


# what travels


def test_code_plan_and_pictures_travel_and_nothing_else(tmp_path: Path) -> None:
    from jobs.cluster.package import write_package

    home, folder = tmp_path / "home", tmp_path / "parcel"
    (home / "pictures").mkdir(parents=True)
    folder.mkdir()
    Image.new("RGB", (64, 64), "teal").save(home / "pictures" / "sky.png")
    (home / "secret.env").write_text("KEY=1")
    asset = {"name": "sign", "kind": "poster", "prompt": "a sign", "sizes": ["64x64"]}
    asset |= {"background": {"file": "pictures/sky.png"}, "model": "typography"}
    asset |= {"text_layers": [{"text": "INN", "box": {"x": 0, "y": 0, "width": 64, "height": 32}}]}
    file = write(home, {"atelier": 1, "name": "signs", "assets": [asset]})
    plan = read_plan(file)
    size = write_package(folder, plan, file)
    assert {path.name for path in folder.iterdir()} == {"app", "jobs", "plan"}
    assert {
        str(path.relative_to(folder)) for path in folder.glob("plan/**/*") if path.is_file()
    } == {
        "plan/plan.yaml",
        "plan/pictures/sky.png",
    }
    assert read_plan(folder / "plan" / "plan.yaml").as_json() == plan.as_json()
    assert not list(folder.rglob("__pycache__"))
    assert size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    command = [sys.executable, "-m", "jobs", "bulk", "plan/plan.yaml", "--help"]
    done = subprocess.run(command, cwd=folder, env=bare(), capture_output=True, check=False)
    assert done.returncode == 0


def bare() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}


def test_a_parcel_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.cluster import package

    monkeypatch.setattr(package, "LARGEST_BYTES", 1 << 20)
    file = write(tmp_path, plan_of(["red"]))
    folder = tmp_path / "parcel"
    folder.mkdir()
    with pytest.raises(InvalidRequest, match="a job takes 1 MiB along"):
        package.write_package(folder, read_plan(file), file)


# lines of a log


def test_lines_are_said_once_however_the_log_comes_and_the_document_is_kept() -> None:
    from jobs.cluster.follow import LogLines

    log = 'images: 2\n{ "no": 1 }\n{\n  "run_id": "r"\n}\nlast'
    for size in (1, 3, len(log)):
        printed: list[str] = []
        lines = LogLines(printed.append)
        at = 0
        for start in range(0, len(log) // 2, size):
            at = lines.take(log[start : start + size], at)
        at = 0
        for start in range(0, len(log), size):  # the connection broke; it begins anew
            at = lines.take(log[start : start + size], at)
        lines.end()
        assert printed == ["images: 2", '{ "no": 1 }', "last"]
        assert lines.document == {"run_id": "r"}


def test_what_only_looks_like_the_document_is_said() -> None:
    from jobs.cluster.follow import LogLines

    printed: list[str] = []
    lines = LogLines(printed.append)
    lines.take("{\nnot JSON\n}\n{\nno end\n", 0)
    lines.end()
    assert printed == ["{", "not JSON", "}", "{", "no end"]
    assert lines.document is None


# who answers


class FixedAnswers(BaseHTTPRequestHandler):
    """A server with one answer for every question."""

    status, body = 200, b"{}"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test says what it saw."""


@pytest.fixture
def listening() -> Iterator[Callable[[int, bytes], str]]:
    servers: list[HTTPServer] = []

    def listen(status: int, body: bytes) -> str:
        handler = type("Handler", (FixedAnswers,), {"status": status, "body": body})
        servers.append(HTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def unused_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("unused_address")
@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, b"", InvalidRequest, "asks for its token"),
        (403, b"", InvalidRequest, "does not know the token"),
        (502, b"", BackendUnavailable, "status 502"),
        (200, b"<html>", BackendUnavailable, "something else listens"),
        (200, b"[]", BackendUnavailable, "something else listens"),
        (200, b'{"ray_version": "2.1.0"}', InvalidRequest, "runs Ray 2.1.0"),
    ],
)
def test_whoever_is_not_our_cluster_is_told_apart(
    listening: Callable[[int, bytes], str],
    status: int,
    body: bytes,
    error: type[Exception],
    words: str,
) -> None:
    from jobs.cluster.job_client import connect

    with pytest.raises(error, match=words):
        connect(listening(status, body))


@pytest.mark.usefixtures("unused_address")
def test_a_wrong_address_or_token_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.cluster.job_client import connect

    with pytest.raises(InvalidRequest, match=r"'10.0.0.1:6379' is no address of a job server"):
        connect("10.0.0.1:6379")
    with pytest.raises(BackendUnavailable, match="see that the cluster is up"):
        connect(f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")
    with pytest.raises(InvalidRequest, match="RAY_AUTH_TOKEN_PATH is /nowhere/token"):
        connect("http://127.0.0.1:1")


def jobs(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.commands", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_faulty_plan_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    file = write(tmp_path, plan_of(["red"], name="No Name!"))
    done = jobs("submit", str(file), "--cluster", "http://127.0.0.1:1", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (2, "PlanError")


def test_a_run_on_this_machine_is_stopped_in_its_terminal() -> None:
    done = jobs("runs", "stop", "some-run", RAY_API_SERVER_ADDRESS="")
    assert done.returncode == 2
    assert "Ctrl-C in its terminal" in done.stderr


# a real head


class HeadNode:
    """A cluster of one node with a job server, behind a token, in folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "head.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self.environment = {**os.environ, **own, "ATELIER_HOME": str(folder / "home")}
        self.environment["ATELIER_ECHO_SECONDS"] = "0.1"  # it is at work when it is stopped
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        eager = self.environment | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
        self.machine = Machine("head", self._options(), eager, self.log)

    def _options(self) -> list[str]:
        ports = {
            "port": free_port(),
            "dashboard-port": self.port,
            "dashboard-agent-listen-port": free_port(),
            "ray-client-server-port": free_port(),
        }
        return ["--head", "--num-cpus=4", *(f"--{name}={port}" for name, port in ports.items())]

    def wait(self) -> None:
        """Until the job server answers."""
        from jobs.cluster.job_client import connect

        for _ in range(120):
            assert self.machine.alive, self.log.read_text()
            try:
                connect(self.url)
                return
            except BackendUnavailable:
                time.sleep(0.5)
        pytest.fail(self.log.read_text())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command of a person whose home is elsewhere, and whose Ray points elsewhere."""
        elsewhere = {"RAY_ADDRESS": "127.0.0.1:1", "RAY_AUTH_MODE": "disabled"}
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.commands", *arguments, "--cluster", self.url, "--json"],
            env=self.environment | elsewhere, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, code: int = 0) -> tuple[Any, str]:
        process = self.start(*arguments)
        out, err = process.communicate()
        assert process.returncode == code, err
        return json.loads(out), err

    @property
    def store(self) -> Store:
        settings = Settings(home=self.folder / "home")
        return open_store(settings.blobs, settings.catalog)


@pytest.fixture
def head(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HeadNode]:
    need("bash")
    head = HeadNode(tmp_path_factory.mktemp("c"))
    try:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", head.environment["RAY_AUTH_TOKEN_PATH"])
        head.wait()
        yield head
    finally:
        head.machine.kill()


@pytest.mark.slow
def test_a_plan_is_made_on_a_cluster_reused_left_stopped_and_gone_on_with(
    head: HeadNode, tmp_path: Path
) -> None:
    small = str(write(tmp_path, plan_of(["red"])))
    made, _ = head.run("submit", small)
    assert (made["asked"], made["accepted"], made["failed"]) == (3, 3, 0)
    recorded = head.store.catalog.run(made["run_id"]).summary
    assert recorded is not None
    assert {name: recorded[name] for name in made} == made
    again, _ = head.run("submit", small)
    assert (again["reused"], again["made"]) == (3, 0)

    large = tmp_path / "large"
    large.mkdir()
    colours = [f"tone{number}" for number in range(30)]
    file = str(write(large, plan_of(colours, name="large")))
    leaving = head.start("submit", file)
    job = await_job(leaving)
    os.killpg(leaving.pid, signal.SIGINT)
    out, _ = leaving.communicate()
    assert leaving.returncode == 130
    assert f"atelier runs stop {job} --cluster {head.url}" in json.loads(out)["message"]

    following = head.start("submit", file)  # the same job, not a second one
    assert await_job(following) == job
    run = await_images(head, "large")
    stopped, _ = head.run("runs", "stop", run)
    assert "run the same command to go on" in stopped["message"]
    following.communicate()
    assert following.returncode == 130
    kept = head.store.catalog.run_spending(run).images
    assert kept > 0
    assert (head.store.catalog.run(run).summary or {})["stopped"] is True

    refused, _ = head.run("runs", "stop", run, code=2)
    assert "has stopped already" in refused["message"]
    rest, summary = head.run("submit", file)
    assert f"{job[:-1]}2" in summary
    assert (rest["asked"], rest["failed"], rest["asked"] * 2 - kept) == (90, 0, rest["made"])


def await_job(process: subprocess.Popen[str]) -> str:
    """The job's name, from the first line that names it."""
    assert process.stderr is not None
    match = re.match(r"job (\S+?):? ", process.stderr.readline())
    assert match
    process.stderr.readline()  # Ray has it: the log has begun
    return match[1]


def await_images(head: HeadNode, plan: str) -> str:
    """The id of the plan's run, once it has made some."""
    for _ in range(600):
        runs = [run for run in head.store.catalog.runs() if run.plan == plan]
        if runs and head.store.catalog.run_spending(runs[0].run_id).images:
            return runs[0].run_id
        time.sleep(0.2)
    return pytest.fail(head.log.read_text())
