"""The commands of models as people type them, and their JSON as machines read it."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from app.check.duplicates import Neighbours
from app.flow.make import make
from app.generate.generate import Generator
from app.generate.renderer import open_renderer
from app.plan.expand import expand
from app.plan.read import read_plan
from app.registry.references import available_models, pin_references
from app.route.by_name import route_by_name
from app.settings import Settings
from app.store.publish import open_store
from tests.cli.test_main import PLAN, run, run_json, written
from tests.registries import settings_in


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings_in(tmp_path / "home")
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")
    return tmp_path


@pytest.fixture
def champion(home: Path) -> str:
    """The echo, registered, measured and promoted."""
    reference = run_json("models", "register", "echo", "--name", "draft", "--role", "draft")
    assert reference["model"]["version"] == "1"
    run("models", "measure", "draft/1", "--samples", "1")
    return str(run_json("models", "promote", "draft/1")["target"])


def made(path: str, run_id: str) -> list[str]:
    """What the plan makes, asset by asset: the models that are recorded."""
    settings = Settings()
    store, models = open_store(settings.blobs, settings.catalog), available_models(settings)
    records = []
    for spec in expand(pin_references(read_plan(Path(path)), models, Settings()), models):
        route = route_by_name(spec, models)
        generator = Generator(route, open_renderer(route, settings, store), store, owner=run_id)
        records.append(make(spec, generator, None, Neighbours()))
    return [record.model for record in records]


def test_a_version_goes_from_registration_to_champion_and_into_a_plan(
    champion: str, home: Path
) -> None:
    assert champion == "draft/1"
    plan = written(home, PLAN | {"model": "draft@champion"})
    assert run_json("plan", plan)["to_make"] == 2
    assert made(plan, "run-1") == ["draft/1", "draft/1"]
    assert run_json("plan", plan)["to_make"] == 0
    assert run_json("plan", written(home, PLAN | {"model": "draft/1"}))["to_make"] == 0
    names = ["potion.blue", "potion.red"]
    assert [asset["name"] for asset in run_json("assets", "--model", "draft@champion")] == names
    assert [asset["name"] for asset in run_json("assets", "--model", "draft/1")] == names
    assert run_json("show", "potion.red")["provenance"]["model"] == "draft/1"
    replayed = run_json("replay", "--where", "model=draft@champion")
    assert [replay["sameness"] for replay in replayed] == ["identical", "identical"]


def test_models_are_listed_by_what_they_are(champion: str) -> None:
    (listed,) = run_json(
        "models", "list", "--where", "role=draft", "--where", "capability=transparent"
    )
    assert (listed["reference"], listed["aliases"]) == (champion, ["champion"])
    assert listed["version"]["golden"]["acceptance"] == 1
    assert run_json("models", "list", "--where", "licence=MIT") == []
    assert run_json("models", "list", "--name", "final") == []
    assert "champion" in run("models", "list")
    assert "--where" in run_json("models", "list", "--where", "colour=red", code=2)["message"]


def test_a_model_is_shown_with_its_measures_and_moves(champion: str) -> None:
    card = run_json("models", "show", "draft@champion")
    assert (card["reference"], card["aliases"]) == ("draft/1", ["champion"])
    assert len(card["measured"]) == len(card["moves"]) == 1
    text = run("models", "show", "draft/1")
    assert "Apache-2.0" in text
    assert "as the first" in text


def test_what_was_not_measured_is_refused_and_compared(champion: str, home: Path) -> None:
    run("models", "register", "starter", "--name", "draft")
    refused = run_json("models", "promote", "draft/2", code=1)
    assert refused["error"] == "PromotionRefused"
    assert "atelier models measure draft/2" in refused["message"]
    answer = run_json("models", "compare", "draft/2", code=1)
    assert (answer["champion"], answer["promotable"]) == ("draft/1", False)
    assert run_json("models", "compare", "draft/1", "draft/1")["promotable"]
    assert "does not hold" in run("models", "compare", "draft/2", code=1)


def test_a_rollback_goes_one_back(champion: str) -> None:
    again = run_json("models", "promote", "draft/1", "--alias", "canary")
    assert (again["alias"], again["target"]) == ("canary", "draft/1")
    assert "nothing to go back to" in run_json("models", "rollback", "draft", code=1)["message"]


def test_faulty_calls_name_the_remedy(home: Path) -> None:
    named = {
        ("register", "nowhere", "--name", "draft"): "neither a folder nor a bundled model",
        ("register", "echo", "--name", "starter"): "belongs to a bundled model",
        ("show", "draft/1"): "no registered model",
        ("promote", "draft@champion"): "points nowhere",
    }
    for command, remedy in named.items():
        done = run_json("models", *command, code=2 if "starter" in command else 1)
        assert remedy in done["message"]


def test_what_cannot_be_a_name_is_refused_before_anything_is_written(champion: str) -> None:
    for command in (
        ["register", "echo", "--name", "My Draft"],
        ["promote", "draft/1", "--alias", "A"],
    ):
        assert "cannot be a name" in run_json("models", *command, code=2)["message"]
    assert len(run_json("models", "list")) == 1


def test_tolerances_and_prompts_are_ones_own(champion: str, home: Path) -> None:
    prompts = home / "prompts.txt"
    prompts.write_text("a red key\n\n a blue key \n")
    answer = run_json(
        "models", "measure", "draft/1", "--prompts", str(prompts), "--samples", "2",
        "--tolerance", "acceptance=0.2",
    )  # fmt: skip
    assert answer["images"] == 4
    assert answer["tolerance"]["acceptance"] == 0.2
    bad = run_json("models", "measure", "draft/1", "--tolerance", "speed=1", code=2)
    assert "seconds_share" in bad["message"]


def test_a_plan_that_names_no_version_is_faulty_before_any_work(home: Path) -> None:
    for reference in ("draft@champion", "draft/1", "starter@champion"):
        answer = run_json("plan", written(home, PLAN | {"model": reference}), code=2)
        assert answer["error"] == "NoRoute"
        assert reference in answer["message"]


@pytest.mark.slow
def test_the_page_opens_on_loopback_and_ends_with_ctrl_c(home: Path) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [Path(sys.executable).parent / "atelier", "models", "ui", "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address == f"http://127.0.0.1:{port}"
    try:
        assert answer_of(f"{address}/health", process) == b"OK"
        assert listeners(port) == {"0100007F"}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()
    assert listeners(port) == set()


def answer_of(url: str, process: "subprocess.Popen[Any]") -> bytes:
    while process.poll() is None:
        try:
            with urlopen(url) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the page ended with {process.returncode}")


def listeners(port: int) -> set[str]:
    """The addresses that listen on a port, as the kernel writes them."""
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, hexadecimal = local.partition(":")
            if state == "0A" and int(hexadecimal, 16) == port:
                addresses.add(address)
    return addresses
