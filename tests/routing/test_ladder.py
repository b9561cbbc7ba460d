"""The ladder: a pure choice of the cheapest way that surely passes, and every reason for it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.route.cascade import Explanation, Option, Wish, choose
from app.route.success_model import Chances, Seen, learn
from app.types import Kind
from tests.routing.worlds import PAINTERS, World

LIGHT, MIDDLE, HEAVY = (
    Option(name=name, model=f"{name}/1", usd=usd, seconds=seconds)
    for name, usd, seconds in (("light", 1, 1), ("middle", 4, 4), ("heavy", 10, 10))
)
FLEET = (LIGHT, MIDDLE, HEAVY)


def wish_of(**changes: Any) -> Wish:
    usual = {"kind": Kind.ICON, "labels": ("object=axe",), "candidates": 1, "attempts": 3}
    return Wish(**usual | {"confidence": 0.9, "cascade": True, "strength": 0.6} | changes)


def known(**shares: tuple[int, int]) -> Chances:
    """Chances from models' passes of so many assets, each asked of once.

    `heavy_after` are those that the light one had failed at, whether anew or from its picture.
    """
    told = [(name, "", share) for name, share in shares.items() if name != "heavy_after"]
    if "heavy_after" in shares:
        told += [("heavy", after, shares["heavy_after"]) for after in ("light/1", "light/1~0.6")]
    return learn(
        Seen(
            model=f"{name}/1",
            kind=Kind.ICON,
            labels=("object=axe",),
            after=after,
            tried=1,
            passed=int(at < passed),
        )
        for name, after, (passed, assets) in told
        for at in range(assets)
    )


MIXED = known(light=(120, 200), heavy=(200, 200), heavy_after=(99, 100))


def names(explanation: Explanation) -> list[str]:
    return [rung.name for rung in explanation.chosen.rungs]


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
    wish: Wish, fleet: dict[str, tuple[int, int]]
) -> None:
    chances = known(**fleet)
    found = choose(wish, FLEET, chances)
    assert found == choose(wish, FLEET, Chances.model_validate_json(chances.model_dump_json()))
    for way in found.ways:
        assert sum(rung.images for rung in way.rungs) == wish.attempts
        assert len(way.rungs) == 1 or wish.cascade
        assert 0 <= way.least <= 1
        assert 0 <= way.chance <= 1
        heaviness = [["light", "middle", "heavy"].index(rung.name) for rung in way.rungs]
        assert heaviness == sorted(set(heaviness)), "a lighter model never follows a heavier one"


@settings(max_examples=60, deadline=None)
@given(wishes, fleets)
def test_what_is_chosen_is_the_cheapest_that_surely_passes_in_time(
    wish: Wish, fleet: dict[str, tuple[int, int]]
) -> None:
    found = choose(wish, FLEET, known(**fleet))
    fit = [
        way
        for way in found.ways
        if way.least >= wish.confidence and (wish.seconds is None or way.seconds <= wish.seconds)  # type: ignore[operator]
    ]
    if fit:
        assert not found.chosen.refused
        assert found.chosen.usd_per_accepted == min(way.usd_per_accepted for way in fit)  # type: ignore[type-var]
    elif found.reason.startswith("no way"):
        assert found.chosen.refused


def test_a_light_model_that_surely_passes_is_taken_alone() -> None:
    found = choose(wish_of(), FLEET, known(light=(198, 200), heavy=(200, 200)))
    assert names(found) == ["light"]


def test_where_the_light_one_often_fails_the_heavy_one_takes_over() -> None:
    found = choose(wish_of(), FLEET, MIXED)
    assert names(found) == ["light", "heavy"]
    alone = next(way for way in found.ways if [rung.name for rung in way.rungs] == ["heavy"])
    chosen = found.chosen
    assert (chosen.usd_per_accepted or 0) < (alone.usd_per_accepted or 0)
    assert names(choose(wish_of(cascade=False), FLEET, MIXED))\
        == ["heavy"]  # fmt: skip


def test_where_the_light_one_always_fails_it_is_not_asked() -> None:
    found = choose(wish_of(), FLEET, known(light=(1, 200), heavy=(200, 200)))
    assert names(found) == ["heavy"]


def test_few_data_do_not_make_sure() -> None:
    lucky = choose(wish_of(), (LIGHT, HEAVY), known(light=(3, 3), heavy=(200, 200)))
    assert names(lucky) == ["heavy"]
    light = next(way for way in lucky.ways if [rung.name for rung in way.rungs] == ["light"])
    assert "surely" in light.refused
    assert light.chance > light.least


def test_a_deadline_removes_what_takes_too_long_and_says_so() -> None:
    chances = MIXED
    found = choose(wish_of(seconds=3, confidence=0.6), FLEET, chances)
    assert names(found) == ["light"]
    late = [way.refused for way in found.ways if [rung.name for rung in way.rungs] == ["heavy"]]
    assert late == ["takes 10.1 s, within 3 s is asked"]


def test_a_price_limit_removes_what_costs_too_much_and_says_so() -> None:
    found = choose(wish_of(usd=3, confidence=0.6), FLEET, MIXED)
    assert names(found) == ["light"]
    dear = [way.refused for way in found.ways if [rung.name for rung in way.rungs] == ["heavy"]]
    assert dear == ["costs $10.1, $3 at most is asked"]
    unknown = [option.replace(usd=None) for option in FLEET]
    nobody = choose(wish_of(usd=3), unknown, MIXED)
    assert nobody.chosen.refused.startswith("nobody knows what it costs")


def test_where_no_way_is_likely_enough_the_likeliest_is_taken_and_the_reason_said() -> None:
    found = choose(
        wish_of(confidence=0.99), (LIGHT, HEAVY), known(light=(20, 200), heavy=(90, 200))
    )
    assert found.chosen.refused
    assert "no way surely passes at 0.99" in found.reason
    assert found.chosen.least == max(way.least for way in found.ways)


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
    for chances in (None, learn([]), known(other=(50, 50))):
        found = choose(wish, FLEET, chances)
        assert [(rung.name, rung.images) for rung in found.chosen.rungs] == expected
        assert "nothing was learned" in found.reason


def test_a_model_that_shares_the_latent_space_goes_on_from_the_lighter_ones_picture() -> None:
    light = LIGHT.replace(latent_space="s", continues=True)
    chances = MIXED
    for heavy, strength in (
        (HEAVY.replace(latent_space="s", continues=True), 0.6),
        (HEAVY.replace(latent_space="other", continues=True), None),
        (HEAVY.replace(latent_space="s"), None),
    ):
        found = choose(wish_of(), (light, heavy), chances)
        second = found.chosen.rungs[1]
        assert second.strength == strength
        assert second.after == ("light/1~0.6" if strength else "light/1")


def test_a_dear_spell_moves_the_choice_and_its_end_moves_it_back() -> None:
    chances = known(light=(195, 200), middle=(199, 200), heavy=(200, 200))
    usual = choose(wish_of(), FLEET, chances)
    spell = choose(wish_of(), (LIGHT.replace(usd=30, seconds=30), MIDDLE, HEAVY), chances)
    assert (names(usual), names(spell)) == (["light"], ["middle"])
    assert choose(wish_of(), FLEET, chances) == usual


def test_where_everything_is_free_time_decides() -> None:
    free = [option.replace(usd=0) for option in FLEET]
    assert names(choose(wish_of(), free, known(light=(199, 200), heavy=(200, 200)))) == ["light"]


def test_in_a_world_of_known_truth_the_router_is_cheaper_and_passes_as_often() -> None:
    """Against the best single model, over assets that nothing was learned from."""
    world = World(seed=5)
    fleet = [
        Option(name=one.reference, model=one.reference, usd=one.usd, seconds=one.seconds)
        for one in PAINTERS
    ]
    chances = learn(world.history(world.assets(800), 3))
    spent = dict.fromkeys(["router", *(one.name for one in fleet)], 0.0)
    passed = dict.fromkeys(spent, 0)
    for asset in world.assets(400, start=5000):
        wish = wish_of(kind=asset.kind, labels=asset.labels)
        ladders = {
            "router": [(r.model, r.images) for r in choose(wish, fleet, chances).chosen.rungs]
        }
        ladders |= {one.name: [(one.name, 3)] for one in fleet}
        for name, rungs in ladders.items():
            for model, images in rungs:
                painter = next(one for one in PAINTERS if one.reference == model)
                seen = world.seen(asset, painter, images)
                spent[name] += seen.tried * painter.usd
                passed[name] += seen.passed
                if seen.passed:
                    break
    best = max((one.name for one in fleet), key=lambda name: passed[name])
    assert passed["router"] >= 0.97 * passed[best]
    assert spent["router"] / passed["router"] < 0.7 * spent[best] / passed[best]
