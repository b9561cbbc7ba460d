"""Editors see what the reader sees: plans that ship are valid, and so is every short form."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from app.plan.json_schema import plan_schema

PLANS = sorted((Path(__file__).parents[2] / "jobs" / "plans").glob("*.yaml"))
ASSET = {"name": "potion", "kind": "icon", "prompt": "a red potion", "sizes": 64}


def faults(document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(plan_schema()).iter_errors(document)]


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.name)
def test_the_plans_that_ship_are_valid(plan: Path) -> None:
    assert faults(yaml.safe_load(plan.read_text())) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": "64x32"},
        {"sizes": [64, "32x32", {"width": 8, "height": 8}]},
        {"axes": {"level": [1, 2.5, "boss"]}, "exclude": [{"level": 1}, {"level": [1, "boss"]}]},
        {"background": "sky.png"},
    ],
)
def test_short_forms_are_valid(changes: dict[str, Any]) -> None:
    assert faults({"atelier": 1, "name": "p", "assets": [ASSET | changes]}) == []


@pytest.mark.parametrize(
    "changes", [{"sizes": "big"}, {"colour": "red"}, {"candidates": 0}, {"axes": ["red"]}]
)
def test_what_the_reader_refuses_is_marked(changes: dict[str, Any]) -> None:
    assert faults({"atelier": 1, "name": "p", "assets": [ASSET | changes]})


def test_the_schema_beside_the_plans_is_the_one_that_the_command_prints() -> None:
    file = PLANS[0].with_name("plan.schema.json")
    assert json.loads(file.read_text()) == plan_schema()
    assert all(file.name in plan.read_text() for plan in PLANS)
