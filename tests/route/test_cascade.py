"""The ladder: a pure choice of the cheapest way that surely passes, and every reason for it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.route.cascade import AssetRequirements, Explanation, ModelOption, choose_cascade
from app.route.success_model import Observation, SuccessModel, fit_success_model
from app.types import Kind
from tests.route.simulated_models import SIMULATED_MODELS, World

LIGHT, MIDDLE, HEAVY = (
    ModelOption(name=name, model=f"{name}/1", usd=usd, seconds=seconds)
    for name, usd, seconds in (("light", 1, 1), ("middle", 4, 4), ("heavy", 10, 10))
)
FLEET = (LIGHT, MIDDLE, HEAVY)


def wish_of(**changes: Any) -> AssetRequirements:
    usual = {"kind": Kind.ICON, "labels": ("object=axe",), "candidates": 1, "attempts": 3}
    return AssetRequirements(
        **usual | {"confidence": 0.9, "cascade": True, "strength": 0.6} | changes
    )


def known(**shares: tuple[int, int]) -> SuccessModel:
    """Chances from models' passes of so many assets, each asked of once.

    `heavy_after` are those that the light one had failed at, whether anew or from its picture.
    """
    counts = [(name, "", share) for name, share in shares.items() if name != "heavy_after"]
    if "heavy_after" in shares:
        counts += [("heavy", after, shares["heavy_after"]) for after in ("light/1", "light/1~0.6")]
    return fit_success_model(
        Observation(
            model=f"{name}/1",
            kind=Kind.ICON,
            labels=("object=axe",),
            after=after,
            tried=1,
            passed=int(at < passed),
        )
        for name, after, (passed, assets) in counts
        for at in range(assets)
    )


MIXED = known(light=(120, 200), heavy=(200, 200), heavy_after=(99, 100))


def names(explanation: Explanation) -> list[str]:
    return [stage.name for stage in explanation.chosen.rungs]


shares = st.tuples(st.integers(0, 60), st.integers(1, 60)).map(lambda pair: (min(pair), max(pair)))
fleets = st.fixed_dictionaries(dict.fromkeys(("light", "middle", "heavy"), shares))
wishes = st.builds(
    wish_of,
    candidates=st.integers(1, 3),
    attempts=st.integers(1, 8),
    confidence=st.floats(0.05, 0.99),
    cascade=st.booleans(),
    seconds=st.none() | st.floats(0.5, 40),
).filter(lambda wish: wish.attempts >= wish.candidates)


@settings(max_examples=60, deadline=None)
@given(wishes, fleets)
def test_the_choice_is_pure_and_asks_for_all_attempts(
    wish: AssetRequirements, fleet: dict[str, tuple[int, int]]
) -> None:
    success_model = known(**fleet)
    explanation = choose_cascade(wish, FLEET, success_model)
    assert explanation == choose_cascade(
        wish, FLEET, SuccessModel.model_validate_json(success_model.model_dump_json())
    )
    for plan in explanation.ways:
        assert sum(stage.images for stage in plan.rungs) == wish.attempts
        assert len(plan.rungs) == 1 or wish.cascade
        assert 0 <= plan.least <= 1
        assert 0 <= plan.chance <= 1
        heaviness = [["light", "middle", "heavy"].index(stage.name) for stage in plan.rungs]
        assert heaviness == sorted(set(heaviness)), "a lighter model never follows a heavier one"


@settings(max_examples=60, deadline=None)
@given(wishes, fleets)
def test_what_is_chosen_is_the_cheapest_that_surely_passes_in_time(
    wish: AssetRequirements, fleet: dict[str, tuple[int, int]]
) -> None:
    explanation = choose_cascade(wish, FLEET, known(**fleet))
    fit = [
        plan
        for plan in explanation.ways
        if plan.least >= wish.confidence and (wish.seconds is None or plan.seconds <= wish.seconds)  # type: ignore[operator]
    ]
    if fit:
        assert not explanation.chosen.refused
        assert explanation.chosen.usd_per_accepted == min(plan.usd_per_accepted for plan in fit)  # type: ignore[type-var]
    elif explanation.reason.startswith("no cascade"):
        assert explanation.chosen.refused


def test_a_light_model_that_surely_passes_is_taken_alone() -> None:
    explanation = choose_cascade(wish_of(), FLEET, known(light=(198, 200), heavy=(200, 200)))
    assert names(explanation) == ["light"]


def test_where_the_light_one_often_fails_the_heavy_one_takes_over() -> None:
    explanation = choose_cascade(wish_of(), FLEET, MIXED)
    assert names(explanation) == ["light", "heavy"]
    alone = next(
        plan for plan in explanation.ways if [stage.name for stage in plan.rungs] == ["heavy"]
    )
    chosen = explanation.chosen
    assert (chosen.usd_per_accepted or 0) < (alone.usd_per_accepted or 0)
    assert names(choose_cascade(wish_of(cascade=False), FLEET, MIXED))\
        == ["heavy"]  # fmt: skip


def test_where_the_light_one_always_fails_it_is_not_asked() -> None:
    explanation = choose_cascade(wish_of(), FLEET, known(light=(1, 200), heavy=(200, 200)))
    assert names(explanation) == ["heavy"]


def test_few_data_do_not_make_sure() -> None:
    lucky = choose_cascade(wish_of(), (LIGHT, HEAVY), known(light=(3, 3), heavy=(200, 200)))
    assert names(lucky) == ["heavy"]
    light = next(plan for plan in lucky.ways if [stage.name for stage in plan.rungs] == ["light"])
    assert "is required" in light.refused
    assert light.chance > light.least


def test_a_deadline_removes_what_takes_too_long_and_says_so() -> None:
    success_model = MIXED
    explanation = choose_cascade(wish_of(seconds=3, confidence=0.6), FLEET, success_model)
    assert names(explanation) == ["light"]
    late = [
        plan.refused
        for plan in explanation.ways
        if [stage.name for stage in plan.rungs] == ["heavy"]
    ]
    assert late == ["takes 10.1 s, at most 3 s are allowed"]


def test_a_price_limit_removes_what_costs_too_much_and_says_so() -> None:
    explanation = choose_cascade(wish_of(usd=3, confidence=0.6), FLEET, MIXED)
    assert names(explanation) == ["light"]
    dear = [
        plan.refused
        for plan in explanation.ways
        if [stage.name for stage in plan.rungs] == ["heavy"]
    ]
    assert dear == ["costs $10.1, at most $3 is allowed"]
    unknown = [option.replace(usd=None) for option in FLEET]
    nobody = choose_cascade(wish_of(usd=3), unknown, MIXED)
    assert nobody.chosen.refused.startswith("its cost is unknown")


def test_where_no_way_is_likely_enough_the_likeliest_is_taken_and_the_reason_said() -> None:
    explanation = choose_cascade(
        wish_of(confidence=0.99), (LIGHT, HEAVY), known(light=(20, 200), heavy=(90, 200))
    )
    assert explanation.chosen.refused
    assert "no cascade passes with at least 0.99" in explanation.reason
    assert explanation.chosen.least == max(plan.least for plan in explanation.ways)


@pytest.mark.parametrize(
    ("attempts", "cascade", "expected"),
    [
        (6, True, [("light", 2), ("middle", 2), ("heavy", 2)]),
        (4, True, [("middle", 2), ("heavy", 2)]),
        (2, True, [("heavy", 2)]),
        (6, False, [("heavy", 6)]),
    ],
)
def test_with_nothing_learned_models_are_tried_from_light_to_heavy(
    attempts: int, cascade: bool, expected: list[tuple[str, int]]
) -> None:
    wish = wish_of(candidates=2, attempts=attempts, cascade=cascade)
    for success_model in (None, fit_success_model([]), known(other=(50, 50))):
        explanation = choose_cascade(wish, FLEET, success_model)
        assert [(stage.name, stage.images) for stage in explanation.chosen.rungs] == expected
        assert "nothing was learned" in explanation.reason


def test_a_model_that_shares_the_latent_space_goes_on_from_the_lighter_ones_picture() -> None:
    light = LIGHT.replace(latent_space="s", continues=True)
    success_model = MIXED
    for heavy, strength in (
        (HEAVY.replace(latent_space="s", continues=True), 0.6),
        (HEAVY.replace(latent_space="other", continues=True), None),
        (HEAVY.replace(latent_space="s"), None),
    ):
        explanation = choose_cascade(wish_of(), (light, heavy), success_model)
        second = explanation.chosen.rungs[1]
        assert second.strength == strength
        assert second.after == ("light/1~0.6" if strength else "light/1")


def test_a_dear_spell_moves_the_choice_and_its_end_moves_it_back() -> None:
    success_model = known(light=(195, 200), middle=(199, 200), heavy=(200, 200))
    usual = choose_cascade(wish_of(), FLEET, success_model)
    spell = choose_cascade(
        wish_of(), (LIGHT.replace(usd=30, seconds=30), MIDDLE, HEAVY), success_model
    )
    assert (names(usual), names(spell)) == (["light"], ["middle"])
    assert choose_cascade(wish_of(), FLEET, success_model) == usual


def test_where_everything_is_free_time_decides() -> None:
    free = [option.replace(usd=0) for option in FLEET]
    assert names(choose_cascade(wish_of(), free, known(light=(199, 200), heavy=(200, 200)))) == [
        "light"
    ]


def test_in_a_world_of_known_truth_the_router_is_cheaper_and_passes_as_often() -> None:
    """Against the best single model, over assets that nothing was learned from."""
    world = World(seed=5)
    fleet = [
        ModelOption(
            name=simulated.reference,
            model=simulated.reference,
            usd=simulated.usd,
            seconds=simulated.seconds,
        )
        for simulated in SIMULATED_MODELS
    ]
    success_model = fit_success_model(world.history(world.assets(800), 3))
    spent = dict.fromkeys(["router", *(option.name for option in fleet)], 0.0)
    passed = dict.fromkeys(spent, 0)
    for asset in world.assets(400, start=5000):
        wish = wish_of(kind=asset.kind, labels=asset.labels)
        ladders = {
            "router": [
                (r.model, r.images) for r in choose_cascade(wish, fleet, success_model).chosen.rungs
            ]
        }
        ladders |= {option.name: [(option.name, 3)] for option in fleet}
        for name, rungs in ladders.items():
            for model, images in rungs:
                renderer = next(
                    simulated for simulated in SIMULATED_MODELS if simulated.reference == model
                )
                seen = world.seen(asset, renderer, images)
                spent[name] += seen.tried * renderer.usd
                passed[name] += seen.passed
                if seen.passed:
                    break
    best = max((option.name for option in fleet), key=lambda name: passed[name])
    assert passed["router"] >= 0.97 * passed[best]
    assert spent["router"] / passed["router"] < 0.7 * spent[best] / passed[best]
