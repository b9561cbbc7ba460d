"""The bulk job as a person runs it: in a process of its own, on a real Ray, store and catalog."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from PIL import Image

from app.image.png import read_png
from app.pack.atlas import extract_sprite
from app.pack.formats.texturepacker import read_texturepacker
from app.store.catalog import Catalog
from app.store.publish import Store, open_store
from app.types import Status

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

ECHO_RULES = [
    {"check": "sharpness", "at_least": 0},
    {"check": "softness", "at_most": 1},
    {"check": "duplicate_distance", "at_least": 0},
]


def plan_of(colours: list[str], **changes: Any) -> dict[str, Any]:
    asset = {
        "name": "potion",
        "kind": "icon",
        "prompt": "a {colour} {item}",
        "axes": {"colour": colours, "item": ["potion", "gem", "coin"]},
        "rules": ECHO_RULES,
    }
    plan = {
        "atelier": 1,
        "name": "echo",
        "model": "echo",
        "defaults": {"sizes": ["64x64", "32x32"], "candidates": 2, "attempts": 4},
        "assets": [asset],
    }
    return plan | changes


class Home:
    """A folder of its own, and the commands that people type in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"ATELIER_HOME": str(folder / "home")}

    def write(self, plan: dict[str, Any]) -> str:
        path = self.folder / "plan.yaml"
        path.write_text(json.dumps(plan))
        return str(path)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "jobs", "bulk", *arguments, "--json"]

    @property
    def store(self) -> Store:
        home = self.folder / "home"
        return open_store((home / "blobs").as_uri(), f"sqlite:///{home / 'catalog.db'}")

    @property
    def images(self) -> int:
        if not (self.folder / "home" / "catalog.db").exists():
            return 0
        catalog = Catalog.open(f"sqlite:///{self.folder / 'home' / 'catalog.db'}")
        return len(catalog.find_images(model="echo/1"))


@pytest.fixture(scope="module")
def home(shared_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home that the tests below use one after the other, as a person would."""
    return Home(tmp_path_factory.mktemp("bulk"))


@pytest.fixture(scope="module")
def first(home: Home) -> dict[str, Any]:
    """The summary of the first run: everything is made."""
    done = home.run(home.write(plan_of(["red", "blue"])))
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_a_plan_becomes_accepted_assets_that_add_up(first: dict[str, Any]) -> None:
    fates = ("reused", "accepted", "review", "rejected", "failed")
    assert first["asked"] == 6 == sum(first[fate] for fate in fates)
    assert (first["accepted"], first["made"]) == (6, 12)


def test_every_sprite_cuts_back_identical_to_its_finished_file(
    first: dict[str, Any], home: Home
) -> None:
    pages = [Path(page) for page in first["pages"]]
    store, seen = home.store, 0
    for image, metadata in zip(pages[::2], pages[1::2], strict=True):
        page = read_png(image.read_bytes())
        for placement in read_texturepacker(metadata.read_bytes()):
            record = store.catalog.asset(placement.name)
            assert record.asset is not None
            (file,) = (file for file in record.asset.files if file.size == placement.source)
            assert (extract_sprite(page, placement) == read_png(store.blobs.get(file.digest))).all()
            seen += 1
    assert seen == 12  # six assets at two sizes


def test_the_contact_sheet_shows_every_asset(first: dict[str, Any]) -> None:
    html = Path(first["contact_sheet"])
    text = html.read_text()
    assert all(f"potion.{colour}.gem" in text for colour in ("red", "blue"))
    with Image.open(html.with_suffix(".png")) as sheet:
        assert sheet.width > 200


def test_the_same_plan_again_makes_nothing_and_gives_the_same_pages(
    first: dict[str, Any], home: Home
) -> None:
    done = home.run(home.write(plan_of(["red", "blue"])))
    again = json.loads(done.stdout)
    assert (again["reused"], again["made"], done.returncode) == (6, 0, 0)
    for before, after in zip(first["pages"], again["pages"], strict=True):
        assert Path(before).read_bytes() == Path(after).read_bytes()


def test_a_changed_colour_makes_only_what_it_changed(first: dict[str, Any], home: Home) -> None:
    done = home.run(home.write(plan_of(["red", "green"])), "--workers", "2")
    changed = json.loads(done.stdout)
    assert (changed["reused"], changed["accepted"], changed["made"]) == (3, 3, 6)
    assert home.store.catalog.asset("potion.blue.gem").status is Status.ACCEPTED


def test_rejected_assets_are_reported_with_the_rule_and_fail_nothing(home: Home) -> None:
    asset = plan_of(["red"])["assets"][0] | {
        "name": "strict",
        "rules": [{"check": "coverage", "at_most": 0.01}],
    }
    done = home.run(home.write(plan_of([], assets=[asset])))
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["rejected"], summary["made"]) == (0, 3, 12)
    record = home.store.catalog.asset("strict.red.gem")
    assert any("coverage" in reason for reason in record.reasons)


def test_a_plan_that_asks_for_it_repeats_nothing_that_the_catalog_holds(
    first: dict[str, Any], home: Home
) -> None:
    unlike = [*ECHO_RULES[:2], {"check": "duplicate_distance", "at_least": 64}]
    only = {"name": "only", "kind": "icon", "prompt": "a gem", "rules": unlike}
    done = home.run(home.write(plan_of([], name="only", assets=[only], unique="catalog")))
    assert json.loads(done.stdout)["rejected"] == 1, done.stderr
    (record,) = home.store.catalog.find_assets(run_id=json.loads(done.stdout)["run_id"])
    assert re.search(rf"nearly repeats potion\.\S+ of run {first['run_id']}", record.reasons[0])


def test_ctrl_c_stops_in_order_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS")  # it starts Ray itself, and stops it
    home = Home(tmp_path)
    colours = [f"colour {number}" for number in range(60)]
    path = home.write(plan_of(colours))
    with home.start(path) as process:
        while not home.images and process.poll() is None:
            sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # to every process of the job, as a terminal does
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on" in json.loads(output)["message"]
    kept = home.images
    assert 0 < kept < 360
    done = home.run(path)
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["accepted"]) == (0, 180)
    assert summary["made"] == 360 - kept  # nothing that was committed is made again
    assert home.images == 360


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "echoo"}, "did you mean 'echo'"),
        ({"assets": []}, "at least one value"),
        ({"nmae": "x"}, "did you mean name"),
    ],
)
def test_a_faulty_plan_costs_nothing_and_exits_with_2(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    home = Home(tmp_path)
    done = home.run(home.write(plan_of(["red"]) | changes))
    assert done.returncode == 2
    assert words in json.dumps(json.loads(done.stdout))
    assert not (tmp_path / "home").exists()
