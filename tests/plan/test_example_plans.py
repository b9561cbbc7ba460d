"""The example plans are sound, and ask the starter for nothing that it was never taught."""

from pathlib import Path

import pytest

from app.models.bundled import bundled_models
from app.plan.expand import count, expand
from app.plan.read import read_plan
from app.plan.templates import unknown_words
from tests.plan.plans import MODELS

PLANS = Path(__file__).parents[2] / "jobs" / "plans"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_plan_reads_expands_and_uses_known_words(path: Path) -> None:
    plan, models = read_plan(path), bundled_models()
    specs = list(expand(plan, models))
    assert count(plan) == len(specs) > 0
    taught = models["starter"].vocabulary
    assert taught
    assert {unknown_words(spec.request.prompt, taught) for spec in specs} == {()}


def test_the_icons_are_at_least_48_different_assets_at_two_sizes() -> None:
    specs = list(expand(read_plan(PLANS / "icons.yaml"), MODELS))
    assert (
        len({spec.digest for spec in specs}) == len({spec.request.prompt for spec in specs}) >= 48
    )
    assert {tuple(map(str, spec.sizes)) for spec in specs} == {("64x64", "32x32")}


def test_the_smallest_plan_is_one_asset() -> None:
    (spec,) = expand(read_plan(PLANS / "one.yaml"), MODELS)
    assert (spec.name, spec.request.prompt) == ("potion", "a red potion")
