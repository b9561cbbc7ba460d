"""The real service under a stream of calls while its champion is promoted, broken, taken back."""

import shutil
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from threading import Event
from time import monotonic, sleep
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.bundled import FOLDERS, VERSION, read_version, weights_digest
from app.models.describe import describe
from app.registry.registry import open_registry
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import move
from tests.deployments.replica.versions import WEIGHTS, cut_weights
from tests.deployments.service_process import IMAGES, Service, body
from tests.registries import golden_of, settings_in

pytestmark = pytest.mark.slow

CALLERS = 2


class Answer(NamedTuple):
    """One call: when it was sent, when it was answered, what came."""

    sent: float
    ended: float
    status: int
    route: str
    image: str
    file: bytes


class Stream:
    """Calls one after the other, by a few callers at once, until it is ended."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._over = Event()
        self.answers: list[Answer] = []
        self._callers = ThreadPoolExecutor(CALLERS)
        self._under_way = [self._callers.submit(self._call) for _ in range(CALLERS)]

    def _call(self) -> None:
        with self._service.client() as client:
            while not self._over.is_set():
                sent = monotonic()
                answer = client.post(IMAGES, json=body(model="draft", seed=1))
                document = answer.json() if answer.status_code == 200 else {}
                (image,) = document.get("data", [{}])
                self.answers.append(
                    Answer(
                        sent, monotonic(), answer.status_code,
                        document.get("route", {}).get("model", ""), image.get("model", ""),
                        b64decode(image.get("b64_json", "")),
                    )
                )  # fmt: skip

    def wait_for(self, more: int) -> None:
        """Until so many more calls were answered."""
        wanted = len(self.answers) + more
        while len(self.answers) < wanted:
            sleep(0.05)

    def end(self) -> list[Answer]:
        """No further calls; every answer there was."""
        self._over.set()
        for caller in self._under_way:
            caller.result()
        self._callers.shutdown()
        return self.answers


def variant(folder: Path, number: int) -> Path:
    """The starter with slightly other weights: it paints otherwise, and as fast."""
    shutil.copytree(FOLDERS["starter"], folder)
    weights = load_file(folder / WEIGHTS)
    other = {
        name: tensor * (1 + number / 200) if torch.is_floating_point(tensor) else tensor
        for name, tensor in weights.items()
    }
    save_file(other, folder / WEIGHTS, metadata={"format": "pt"})
    version = read_version(folder).replace(weights_digest=weights_digest(folder), critic="")
    (folder / VERSION).write_text(version.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Settings]]:
    """A home with three versions, each measured: the first is champion, the third damaged."""
    folder = tmp_path_factory.mktemp("models")
    with tempfile.TemporaryDirectory() as place:  # Ray's sockets need a short path
        settings = settings_in(Path(place) / "home")
        registry = open_registry(settings)
        for number in (1, 2, 3):
            version = registry.register(
                describe(variant(folder / str(number), number), "draft"), role="draft"
            )
            golden = golden_of(
                reference=version.reference, weights_digest=version.model.weights_digest
            )
            registry.record(golden, {})
        cut_weights(folder / "3")
        catalog = Catalog.open(settings.catalog)
        move(catalog, "draft", "champion", "draft/1", present=None, reason="the first")
        catalog.close()
        yield Path(place), settings


@pytest.fixture(scope="module")
def service(models: tuple[Path, Settings]) -> Iterator[Service]:
    started = Service(models[0], _drafts_by_alias)
    try:
        yield started
    finally:
        started.stop()


def _drafts_by_alias(args: dict[str, Any]) -> None:
    del args["polish"], args["typography"]
    args["draft"]["model"] = "draft@champion"
    args["draft"]["replicas"] |= {"max_replicas": 1}
    args["follow"] = {"look_seconds": 0.5, "retry_seconds": 600}


class Change(NamedTuple):
    """One move of the alias: when its command had ended, when the service had dealt with it."""

    target: str
    asked_at: float
    done: float
    state: dict[str, Any]


def change(service: Service, *command: str, holds: Callable[[dict[str, Any]], bool]) -> Change:
    """Move the alias by the command line and wait until the draft's state is such."""
    target = service.atelier("models", *command, "--json")["target"]
    asked_at = monotonic()
    while not holds(state := service.state()):
        sleep(0.1)
    return Change(target, asked_at, monotonic(), state)


def test_no_call_fails_and_every_answer_is_true_while_the_champion_changes(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Stream(service)
    stream.wait_for(20)
    changes = []
    for command, holds in (
        (("promote", "draft/2"), lambda state: state["model"] == "draft/2"),
        (("promote", "draft/3"), lambda state: state["refused"] is not None),
        (("rollback", "draft"), lambda state: state["refused"] is None),
        (("rollback", "draft"), lambda state: state["model"] == "draft/1"),
    ):
        changes.append(change(service, *command, holds=holds))
        stream.wait_for(20)
    while service.models()["draft@champion"] != "draft/1":
        sleep(0.1)  # the router follows its replicas
    answers = stream.end()
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert all(answer.route == answer.image for answer in answers)
    pictures = {
        (answer.route, answer.file) for answer in answers
    }  # one of each version, none of the third
    assert sorted(route for route, _ in pictures) == ["draft/1", "draft/2"]
    assert len({file for _, file in pictures}) == 2
    states = [change.state for change in changes]
    assert [state["model"] for state in states] == ["draft/2", "draft/2", "draft/2", "draft/1"]
    refused = {"model": "draft/3", "reason": "its files are not those that were registered"}
    assert [state["refused"] for state in states] == [None, refused, None, None]
    with capsys.disabled():
        print(f"\n{_figures(answers, changes)}")


def _figures(answers: list[Answer], changes: list[Change]) -> str:
    calm = [answer for answer in answers if answer.sent < changes[0].asked_at][:20]
    lines = [f"{len(answers)} calls; the first: {_spread(calm)}"]
    for change in changes:
        during = [
            call for call in answers if call.sent < change.done and change.asked_at < call.ended
        ]
        seconds = change.done - change.asked_at
        lines.append(f"to {change.target}: {seconds:.1f} s after the command; {_spread(during)}")
    return "\n".join(lines)


def _spread(answers: list[Answer]) -> str:
    seconds = [answer.ended - answer.sent for answer in answers] or [0]
    return f"{len(answers)} calls, median {median(seconds):.2f} s, longest {max(seconds):.2f} s"
