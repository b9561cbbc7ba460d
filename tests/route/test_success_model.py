"""Laws of the chances, in worlds whose true chances are known."""

import tracemalloc
from functools import lru_cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.digest import canonical_json
from app.route.success_model import (
    Observation,
    Posterior,
    SuccessModel,
    fit_success_model,
    reliability,
)
from app.types import Kind
from tests.route.simulated_models import SIMULATED_MODELS, SimulatedModel, World

LIGHT, MIDDLE, HEAVY = SIMULATED_MODELS
LEARNED, HELD_OUT, HELD_OUT_AFTER, IMAGES = 2500, 1200, 4000, 3
Pairs = list[tuple[float, bool]]


def _seen(
    passed: int, tried: int, *labels: str, model: str = "light/1", after: str = ""
) -> list[Observation]:
    """So many assets that were asked for once each."""
    return [
        Observation(
            model=model, kind=Kind.ICON, labels=labels, after=after, tried=1, passed=at < passed
        )
        for at in range(tried)
    ]


def _icon(
    success_model: SuccessModel, *labels: str, model: str = "light/1", after: str = ""
) -> Posterior:
    return success_model.posterior(model, Kind.ICON, labels, after=after)


@lru_cache
def _learned(world: World, assets: int = LEARNED) -> SuccessModel:
    return fit_success_model(world.history(world.assets(assets), IMAGES))


def _plain_pairs(world: World, images: int) -> Pairs:
    """What was foretold of every model for new assets, and what came."""
    return [
        (
            _foretold(world, renderer.reference, "", asset.kind, asset.labels).pass_probability(
                images
            ),
            world.seen(asset, renderer, images).passed > 0,
        )
        for asset in world.assets(HELD_OUT, start=LEARNED)
        for renderer in SIMULATED_MODELS
    ]


def _after_pairs(world: World, images: int) -> Pairs:
    """The same for new assets at which a lighter model had failed."""
    return [
        (
            _foretold(
                world, heavy.reference, light.reference, asset.kind, asset.labels
            ).pass_probability(images),
            world.seen(asset, heavy, images).passed > 0,
        )
        for asset in world.assets(HELD_OUT_AFTER, start=LEARNED)
        for at, light in enumerate(SIMULATED_MODELS)
        if not world.seen(asset, light, IMAGES).passed
        for heavy in SIMULATED_MODELS[at + 1 :]
    ]


@lru_cache(maxsize=20_000)
def _foretold(
    world: World, model: str, after: str, kind: Kind, labels: tuple[str, ...]
) -> Posterior:
    return _learned(world).posterior(model, kind, labels, after=after)


def _ece(pairs: Pairs) -> float:
    foretold, passed = zip(*pairs, strict=True)
    return reliability(foretold, passed).ece


WORLDS = [
    World(31),
    World(32, shared=0.9),
    World(33, shared=0.2),
    World(34, difficulty=2.0),
    World(35, effect=1.2, difficulty=0.4),
]
worlds = pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"world{world.seed}")


@worlds
def test_what_is_foretold_of_new_assets_comes_true_as_often(world: World) -> None:
    assert _ece(_plain_pairs(world, 1)) <= 0.05
    assert _ece(_plain_pairs(world, 3)) <= 0.05


@worlds
def test_what_is_foretold_after_failures_comes_true_as_often(world: World) -> None:
    assert _ece(_after_pairs(world, 1)) <= 0.05
    assert _ece(_after_pairs(world, 3)) <= 0.05


@pytest.mark.parametrize("assets", [30, 100])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("after", [None, LIGHT])
def test_the_lower_bound_holds_as_often_as_it_says_with_little_data(
    assets: int, images: int, after: SimulatedModel | None
) -> None:
    held = [
        _learned(world, assets)
        .posterior(
            renderer.reference, asset.kind, asset.labels, after=after.reference if after else ""
        )
        .lower_bound(images, 0.9)
        <= world.sort_passes(asset, renderer, images, after=after, failed=IMAGES)
        for world in map(World, range(50, 62))
        for renderer in SIMULATED_MODELS
        if renderer != after
        for asset in world.assets(40, start=assets)
    ]
    assert sum(held) / len(held) >= 0.9


def test_the_lower_bound_says_more_the_more_is_known() -> None:
    few, many = fit_success_model(_seen(9, 10)), fit_success_model(_seen(900, 1000))
    assert _icon(few).lower_bound(1) < _icon(many).lower_bound(1) < _icon(many).pass_probability(1)
    assert _icon(many).lower_bound(1) == pytest.approx(0.9, abs=0.03)


def test_nothing_is_known_of_an_unknown_model() -> None:
    for success_model in (SuccessModel(), fit_success_model(_seen(50, 50))):
        posterior = _icon(success_model, model="other/1")
        assert posterior.pass_probability(1) == pytest.approx(0.5)
        assert posterior.lower_bound(1) < 0.01
        assert posterior.lower_bound(3) < 0.03
        assert posterior.assets == 0


def test_another_models_verdicts_change_nothing() -> None:
    rows = _seen(7, 20, "object=key")
    both = fit_success_model([*rows, *_seen(90, 90, "object=key", model="other/1")])
    assert both.posterior("light/1", Kind.ICON, ["object=key"]) == _icon(
        fit_success_model(rows), "object=key"
    )


def test_a_new_version_starts_near_the_older_one_and_soon_goes_its_own_way() -> None:
    older = _seen(190, 200, model="light/9")
    success_model = fit_success_model([*older, *_seen(1, 1, model="light/10")])
    alone = fit_success_model(_seen(1, 1, model="light/10"))
    assert _icon(success_model, model="light/10").lower_bound(1) > _icon(
        alone, model="light/10"
    ).lower_bound(1)
    failing = fit_success_model([*older, *_seen(4, 40, model="light/10")])
    assert _icon(failing, model="light/10").pass_probability(1) == pytest.approx(0.1, abs=0.06)
    assert _icon(failing, model="light/9") == _icon(fit_success_model(older), model="light/9")
    assert _icon(fit_success_model(older), model="light/10").lower_bound(1) < 0.01


def test_the_order_of_rows_does_not_matter() -> None:
    rows = list(World(3).history(World(3).assets(200), IMAGES))
    shuffled = Random(0).sample(rows, len(rows))
    assert fit_success_model(shuffled) == fit_success_model(rows)


def test_chances_survive_storage_exactly() -> None:
    success_model = _learned(World(4), 100)
    again = SuccessModel.model_validate_json(canonical_json(success_model.as_json()))
    assert again == success_model
    assert canonical_json(again.as_json()) == canonical_json(success_model.as_json())
    assert _icon(again, "object=1", model="heavy/1", after="light/1") == _icon(
        success_model, "object=1", model="heavy/1", after="light/1"
    )


beliefs = st.builds(
    Posterior,
    logit=st.floats(-6, 6),
    doubt=st.floats(0, 4),
    concentration=st.floats(0.3, 300),
)


@given(beliefs)
def test_more_images_pass_more_often_but_less_than_if_assets_were_alike(
    posterior: Posterior,
) -> None:
    passes = [posterior.pass_probability(images) for images in range(6)]
    assert passes[0] == pytest.approx(0)
    assert all(fewer <= more for fewer, more in pairwise(passes))
    assert passes[3] <= 1 - (1 - passes[1]) ** 3 + 1e-9
    least = [posterior.lower_bound(images) for images in range(6)]
    assert all(fewer <= more for fewer, more in pairwise(least))
    assert posterior.lower_bound(3, 0.95) <= posterior.lower_bound(3, 0.8)


@given(beliefs)
def test_expected_images_lie_between_one_and_all(posterior: Posterior) -> None:
    assert 1 - 1e-9 <= posterior.expected_images(8) <= 8 + 1e-9
    assert posterior.expected_images(1) == pytest.approx(1)
    assert posterior.expected_images(8) == pytest.approx(
        1 + sum(1 - posterior.pass_probability(n) for n in range(1, 8))
    )


@settings(max_examples=25)
@given(st.integers(0, 60), st.integers(1, 60))
def test_another_failure_lowers_the_belief(passed: int, failed: int) -> None:
    before = fit_success_model(_seen(passed, passed + failed))
    after = fit_success_model(_seen(passed, passed + failed + 1))
    assert _icon(after).pass_probability(1) < _icon(before).pass_probability(1)


def test_assets_that_keep_failing_show_that_assets_differ() -> None:
    def rows(easy: tuple[int, int], hard: tuple[int, int]) -> list[Observation]:
        return [
            Observation(model="light/1", kind=Kind.ICON, tried=tried, passed=passed)
            for tried, passed in (easy, hard)
            for _ in range(60)
        ]

    alike, differing = (
        fit_success_model(rows((6, 3), (6, 3))),
        fit_success_model(rows((6, 6), (6, 0))),
    )
    assert _icon(alike).pass_probability(1) == pytest.approx(
        _icon(differing).pass_probability(1), abs=0.02
    )
    assert _icon(alike).pass_probability(3) > 0.85
    assert _icon(differing).pass_probability(3) < 0.65


def test_a_label_matters_once_it_was_seen_often_enough() -> None:
    rows = [
        observation
        for name in ("gem", "coin", "heart")
        for observation in _seen(48, 60, f"object={name}")
    ]
    usual = _icon(fit_success_model(rows), "object=gem").pass_probability(1)
    unknown = _icon(fit_success_model(rows), "object=key").pass_probability(1)
    once = fit_success_model([*rows, *_seen(0, 1, "object=key")])
    often = fit_success_model([*rows, *_seen(2, 30, "object=key")])
    assert _icon(once, "object=key").pass_probability(1) == pytest.approx(unknown, abs=0.05)
    assert _icon(once, "object=gem").pass_probability(1) == pytest.approx(usual, abs=0.02)
    assert _icon(often, "object=key").pass_probability(1) < 0.2
    assert _icon(often, "object=gem").pass_probability(1) == pytest.approx(usual, abs=0.05)


def test_an_unknown_label_only_adds_doubt() -> None:
    success_model = fit_success_model(
        [*_seen(80, 100, "object=gem"), *_seen(10, 100, "object=key")]
    )
    strange, known = _icon(success_model, "object=axe"), _icon(success_model, "object=gem")
    assert strange.doubt > known.doubt
    assert strange.lower_bound(1) < known.lower_bound(1)
    assert 0.1 < strange.pass_probability(1) < 0.8


@settings(max_examples=25)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 12))
def test_failures_before_never_raise_a_chance_of_which_nothing_else_is_known(
    passed: int, failed: int, images: int
) -> None:
    success_model = fit_success_model(_seen(passed, passed + failed + 1))
    plain, after = _icon(success_model), _icon(success_model, after="other/1")
    assert after.pass_probability(images) <= plain.pass_probability(images) + 1e-9
    assert after.lower_bound(images) <= plain.lower_bound(images)


def test_after_failures_own_verdicts_decide_once_there_are_many() -> None:
    plain = _seen(80, 100, model="heavy/1")
    foretold = _icon(fit_success_model(plain), model="heavy/1", after="light/1").pass_probability(1)
    for passed in (20, 160):
        rows = [*plain, *_seen(passed, 200, model="heavy/1", after="light/1")]
        posterior = _icon(fit_success_model(rows), model="heavy/1", after="light/1")
        assert posterior.pass_probability(1) == pytest.approx(passed / 200, abs=0.03)
        assert _icon(fit_success_model(rows), model="heavy/1") == _icon(
            fit_success_model(plain), model="heavy/1"
        )
    few = fit_success_model([*plain, *_seen(1, 1, model="heavy/1", after="light/1")])
    assert _icon(few, model="heavy/1", after="light/1").pass_probability(1) == pytest.approx(
        foretold, abs=0.15
    )


def test_a_model_only_asked_after_failures_is_known_by_them() -> None:
    success_model = fit_success_model(_seen(30, 60, model="heavy/1", after="light/1"))
    assert _icon(success_model, model="heavy/1").pass_probability(1) == pytest.approx(0.5, abs=0.05)
    assert _icon(success_model, model="heavy/1", after="other/1").lower_bound(1) < 0.01


def test_any_number_of_rows_takes_little_memory_and_a_page() -> None:
    sorts = [
        Observation(
            model="light/1",
            kind=Kind.ICON,
            labels=(f"object={at % 14}", f"colour={at % 10}", f"serial={at}"),
            tried=1,
            passed=at % 14 > at % 5,
        )
        for at in range(1000)
    ]
    tracemalloc.start()
    success_model = fit_success_model(sorts[at % 1000] for at in range(100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20
    assert len(canonical_json(success_model.as_json())) < 40_000
    assert success_model.fits[0].assets == 100_000
    assert len(success_model.fits[0].labels) <= 48


def test_more_passes_than_images_are_refused() -> None:
    with pytest.raises(ValidationError, match="3 of 2 images passed"):
        Observation(model="light/1", kind=Kind.ICON, tried=2, passed=3)


def test_chances_whose_numbers_do_not_fit_are_refused() -> None:
    fit = fit_success_model(_seen(3, 9, "object=key")).fits[0]
    with pytest.raises(ValidationError, match="learn them again"):
        fit.replace(labels=())


def test_reliability_weighs_the_gaps_of_its_bins() -> None:
    result = reliability(
        [0.2] * 10 + [0.9] * 30, [True] * 4 + [False] * 6 + [True] * 27 + [False] * 3
    )
    assert [(bucket.predicted, bucket.came, bucket.count) for bucket in result.bins] == [
        (pytest.approx(0.2), pytest.approx(0.4), 10),
        (pytest.approx(0.9), pytest.approx(0.9), 30),
    ]
    assert result.ece == pytest.approx(0.2 * 10 / 40)


def test_reliability_has_bins_of_like_size_and_no_order() -> None:
    rng = Random(1)
    pairs = [(rng.random() ** 0.1, rng.random() < 0.8) for _ in range(1000)]
    result = reliability(*zip(*pairs, strict=True), bins=10)
    assert [bucket.count for bucket in result.bins] == pytest.approx([100] * 10, abs=2)
    assert reliability(*zip(*sorted(pairs), strict=True), bins=10).ece == pytest.approx(result.ece)
    with pytest.raises(ValueError, match="not pairs"):
        reliability([], [])


def test_a_world_is_the_same_for_whoever_asks() -> None:
    world, again = World(5), World(5)
    assets = world.assets(40)
    assert again.assets(30, start=10) == assets[10:]
    forwards = [world.passes(asset, HEAVY, image) for asset in assets for image in range(3)]
    backwards = [again.passes(asset, HEAVY, image) for asset in assets[::-1] for image in (2, 1, 0)]
    assert forwards == backwards[::-1]
    assert forwards != [
        World(6).passes(asset, HEAVY, image) for asset in assets for image in range(3)
    ]


def test_in_a_world_of_shared_difficulty_what_one_model_fails_is_hard_for_another() -> None:
    world = World(7, shared=0.9, difficulty=2.0)
    assets = world.assets(3000)
    failed = [asset for asset in assets if not world.seen(asset, MIDDLE, IMAGES).passed]
    share = sum(world.passes(asset, HEAVY, 0) for asset in failed) / len(failed)
    assert share < sum(world.passes(asset, HEAVY, 0) for asset in assets) / len(assets) - 0.2
    success_model = fit_success_model(world.history(assets, IMAGES))
    after = [
        success_model.posterior(
            "heavy/1", asset.kind, asset.labels, after="middle/1"
        ).pass_probability(1)
        for asset in failed
    ]
    assert sum(after) / len(after) == pytest.approx(share, abs=0.05)
    assert LIGHT.usd < MIDDLE.usd < HEAVY.usd
