"""`atelier top` and `atelier report`: a frame of what is under way, as words and as JSON."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.fleet.prices import Budgets, Price
from app.flow.make import make
from app.generate.generate import Generator
from app.generate.terms import GenerationTerms
from app.monitor.alerts import AlertKind
from app.monitor.service_metrics import BulkMetrics, parse_metrics, read_service
from app.monitor.top import RunEstimate, TopReader
from app.plan.read import read_plan
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.ledger import Account
from app.store.publish import Store, begin_run, claim, open_store, release
from app.types import Measure, Rule
from tests.cli.test_main import PLAN, home, run, run_json, written
from tests.store.values import key_of
from tests.values import ROUTE, spec_with

__all__ = ["home"]

METRICS = """\
# TYPE atelier_requests_total counter
atelier_requests_total{door="/generate",role="draft",model="draft/7",outcome="answered"} 8.0
atelier_requests_total{door="/generate",role="draft",model="draft/7",outcome="queue_full"} 2.0
atelier_requests_total{door="/generate",role="draft",model="draft/7",outcome="left"} 1.0
# TYPE atelier_request_seconds histogram
atelier_request_seconds_bucket{door="/generate",role="draft",le="+Inf"} 8.0
atelier_request_seconds_count{door="/generate",role="draft"} 8.0
atelier_request_seconds_sum{door="/generate",role="draft"} 4.0
# TYPE atelier_previews_total counter
atelier_previews_total{role="draft",model="draft/7"} 8.0
# TYPE atelier_images_in_flight gauge
atelier_images_in_flight{class="interactive",model="draft/7"} 3.0
atelier_images_in_flight{class="bulk",model="draft/7"} 100.0
atelier_images_in_flight{class="bulk_served",model="draft/7"} 12.0
# TYPE atelier_images_waiting gauge
atelier_images_waiting{class="interactive",model="draft/7"} 1.0
atelier_images_waiting{class="bulk_served",model="draft/7"} 5.0
# TYPE atelier_bulk_calls_total counter
atelier_bulk_calls_total{role="draft",model="draft/7",outcome="answered"} 40.0
atelier_bulk_calls_total{role="draft",model="draft/7",outcome="no_capacity"} 6.0
atelier_bulk_calls_total{role="draft",model="draft/7",outcome="queue_full"} 1.0
# TYPE atelier_replicas gauge
atelier_replicas{role="draft"} 2.0
"""


@pytest.fixture
def store(home: Path) -> Store:
    settings = Settings()
    return open_store(settings.blobs, settings.catalog)


@pytest.fixture
def under_way(home: Path, store: Store) -> Store:
    """A run that has made one accepted and one rejected asset, and holds one lease."""
    plan = read_plan(Path(written(home, PLAN)))
    begin_run(store, "run-1", plan=plan.name, document=plan.as_json())
    terms = GenerationTerms(plan="small", price=Price(call=0.1))
    generator = Generator(ROUTE, EchoBackend(), store, "run-1", terms)
    refused = Rule(check=Measure.COVERAGE, at_most=0.01)
    make(spec_with(name="potion.red"), generator, None, Neighbours())
    make(spec_with(refused, name="gem.red", attempts=2), generator, None, Neighbours())
    claim(store, [key_of(1)], owner="run-1", seconds=600)
    return store


@contextmanager
def answering(text: str, *, status: int = 200) -> Iterator[str]:
    """A service on loopback that gives this at its metrics door."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_frame_as_json_says_what_each_model_made_and_what_is_left(
    under_way: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = home / "budgets.yaml"
    budget.write_text(yaml.safe_dump({"day": 0.42}))
    monkeypatch.setenv("ATELIER_BUDGETS", str(budget))
    with answering(METRICS) as url:
        frame = run_json("top", "--service", url)
    (run,) = frame["runs"]
    assert (run["run_id"], run["asked"], run["decided"], run["images"]) == ("run-1", 2, 2, 4)
    assert (run["attempts_under_way"], run["cost_usd"]) == (1, pytest.approx(0.4))
    (model,) = run["models"]
    counts = {name: model[name] for name in ("accepted", "review", "rejected", "gave_up")}
    assert counts == {"accepted": 1, "review": 0, "rejected": 1, "gave_up": 0}
    assert run["rules"][0]["measure"] == "coverage"
    assert frame["budgets"] == [
        {"name": "the day", "cap_usd": 0.42, "spent_usd": 0.4, "left_usd": 0.02}
    ]
    assert [alert["trouble"] for alert in frame["alerts"]] == ["budget"]
    assert frame["service"]["in_flight"] == 3


def test_a_frame_in_words_names_the_run_its_models_and_the_service(under_way: Store) -> None:
    with answering(METRICS) as url:
        output = run("top", "--once", "--service", url)
    assert "run-1 of small: 2 of 2 decided, 4 images, 1 at work, $0.4000" in output
    assert "coverage" in output
    assert "interactive 3 images in flight, 1 waiting, 0.50 s a call; " in output
    assert "; bulk 12 in flight, 5 waiting, 40 answered, 7 shed; replicas: draft 2" in output


def test_a_run_that_ended_leaves_the_screen_and_no_service_is_no_fault(under_way: Store) -> None:
    under_way.catalog.end_run("run-1", {})
    with answering("") as url:
        gone = url
    frame = run_json("top", "--service", gone)
    assert (frame["runs"], frame["service"]) == ([], None)
    assert "no run is under way" in run("top", "--once", "--service", gone)


def test_what_a_service_says_is_summed_and_what_it_refuses_is_explained() -> None:
    snapshot = parse_metrics("http://here", METRICS)
    (model,) = snapshot.models
    assert (model.answered, model.refused, model.shed, model.images) == (8, 2, 2, 8)
    assert (snapshot.in_flight, snapshot.mean_seconds, snapshot.replicas) == (3, 0.5, {"draft": 2})
    assert snapshot.bulk == BulkMetrics(in_flight=12, waiting=5, answered=40, shed=7)
    with answering("", status=401) as url:
        refused = read_service(url)
    assert refused is not None
    assert refused.problem == "it requires a key: set ATELIER_KEY"


def test_a_service_that_says_nothing_is_no_service_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.monitor.service_metrics.WAIT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        snapshot = read_service(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert snapshot is not None
    assert "it did not answer within" in snapshot.problem


def test_on_a_terminal_frames_come_until_ctrl_c_which_is_no_fault(under_way: Store) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from app.cli.main import main; main()", "top"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, env=os.environ | {"TERM": "xterm"}
    ) as watching:
        os.close(theirs)
        output = b""
        while output.count(b"atelier top") < 2:
            output += os.read(ours, 4096)
        watching.send_signal(signal.SIGINT)
        with suppress(OSError):  # how a terminal says that its other end is gone
            while os.read(ours, 4096):
                pass
        assert watching.wait() == 0
    os.close(ours)
    assert b"run-1 of small" in output.replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")


def test_an_address_that_is_none_is_refused(home: Path) -> None:
    assert run("top", "--service", "file:///etc/passwd", code=2) == ""


def test_the_pace_is_the_last_minutes_and_gives_the_time_left(store: Store) -> None:
    begin_run(store, "run-1", plan="small", document={})
    generator = Generator(ROUTE, EchoBackend(), store, "run-1")
    top = TopReader(store.catalog, Budgets(), lambda _: RunEstimate(asked=2, images=10))
    assert top.frame().runs[0].left_seconds is None
    make(spec_with(name="potion.red"), generator, None, Neighbours())
    (run,) = top.frame().runs
    assert run.left_seconds is not None
    (model,) = run.models
    pace = model.images_per_minute / 60
    assert run.left_seconds == pytest.approx(9 / pace, rel=0.5)


def test_a_model_that_fails_is_called_an_outage(store: Store) -> None:
    begin_run(store, "run-1", plan="small", document={})
    keys = [key_of(seed) for seed in range(20)]
    accounts = dict.fromkeys(keys, Account(model="m/1"))
    claim(store, keys, owner="run-1", seconds=60, accounts=accounts)
    release(store, keys, owner="run-1")
    catalog = Catalog.open(Settings().catalog)
    frame = TopReader(catalog, Budgets(), lambda _: RunEstimate(None, None)).frame()
    assert [(alert.trouble, alert.subject) for alert in frame.alerts] == [(AlertKind.OUTAGE, "m/1")]
    assert frame.runs[0].models[0].failed == 20


def test_a_report_has_the_four_figures_in_words_and_as_json(under_way: Store) -> None:
    under_way.catalog.end_run("run-1", {})
    answer = run_json("report", "run-1")
    (run_figures,) = answer["runs"]
    assert run_figures["usd_per_image"] == pytest.approx(0.1)
    assert run_figures["error_percent"] == 0
    assert run_figures["images_per_hour"] > 0
    assert run_figures["delivery"]["last"] >= run_figures["delivery"]["half"] >= 0
    (refused,) = answer["refused"]
    assert (refused["measure"], refused["model"]) == ("coverage", "echo/1")
    output = run("report")
    assert "0.100000" in output
    assert "together" in output
    assert "2026-13" not in run("report", "--since", "20xx", code=2)
