"""A plan that leaves its models open, as a person runs it: light first, heavier where refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.types import Status
from tests.jobs.test_bulk import Home

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

ATELIER = (sys.executable, "-c", "from app.cli.main import main; main()")

PLAN: dict[str, Any] = {
    "atelier": 1,
    "name": "open",
    "model": "auto",
    "route": {"models": ["echo", "starter"], "confidence": 0.8},
    "defaults": {"kind": "icon", "sizes": ["64x64"], "candidates": 1, "attempts": 3},
    "assets": [
        {"name": "item", "prompt": "a {colour} {what}",
         "axes": {"colour": ["red", "blue"], "what": ["potion", "gem"]}},
        {"name": "named", "prompt": "a golden key", "model": "starter"},
    ],
}  # fmt: skip


def output_of(home: Home, *command: str) -> Any:
    done = subprocess.run(
        [*command, "--json"], env=home.environment, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def ran(home: Home, plan: dict[str, Any]) -> dict[str, Any]:
    done = home.run(home.write(plan))
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_an_open_plan_goes_from_light_to_heavy_and_learns_to_go_straight(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = ran(home, PLAN)
    assert (first["accepted"], first["made"]) == (5, 9), "the echo's four pictures are refused"
    records = home.store.catalog.find_assets(status=Status.ACCEPTED)
    opened = [record for record in records if record.name != "named"]
    for record in opened:
        assert [(turn.model, turn.passed) for turn in record.turns] == [
            ("echo/1", 0), ("starter-icons/1", 1),
        ]  # fmt: skip
        output = output_of(home, *ATELIER, "explain", record.name)
        assert output["explanation"]["arm"] == "builtin"
        assert [rung["name"] for rung in output["explanation"]["ways"][0]["rungs"]] == [
            "echo", "starter",
        ]  # fmt: skip
    again = ran(home, PLAN)
    assert (again["reused"], again["made"]) == (5, 0)
    policy = output_of(home, *ATELIER, "policy", "learn")["digest"]
    assert output_of(home, *ATELIER, "policy", "promote", policy[:10])["live"] == policy
    assert ran(home, PLAN)["made"] == 0, "a new policy makes nothing anew that stands"
    changed = json.loads(json.dumps(PLAN).replace('"potion"', '"coin"').replace("0.8", "0.05"))
    straight = ran(home, changed)
    assert (straight["reused"], straight["accepted"]) == (3, 2)
    coin = home.store.catalog.asset("item.red.coin")
    output = output_of(home, *ATELIER, "explain", "item.red.coin")
    assert output["explanation"]["policy"] == policy
    assert [turn.model for turn in coin.turns][-1] == "starter-icons/1"
    judged = output_of(
        home,
        sys.executable,
        "-m",
        "jobs.commands",
        "recheck",
        first["run_id"],
        "--rule",
        "agreement>=0.5",
    )
    assert (judged["asked"], judged["accepted"]) == (5, 5)
