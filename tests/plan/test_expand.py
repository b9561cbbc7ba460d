"""Expansion is exact, ordered, countable, and depends on nothing but what was written."""

import os
import subprocess
import sys
from hashlib import sha256
from itertools import islice, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import NoRoute, OutOfBounds
from app.plan.expand import count, expand
from app.plan.schema import RULES
from app.types import AssetSpec, Kind, Measure, Pivot, Rule, Size, Tags, Verdict
from tests.plan.plans import MODELS, OPEN, plan_of, read, specs_of

VALUES = ("red", "green", "dark blue", "7", "1.50")
Asset = dict[str, Any]


some_values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique=True)
some_names = st.sets(st.sampled_from(["colour", "mood", "size"]))


@st.composite
def assets(
    draw: st.DrawFn, name: str = "thing", names: st.SearchStrategy[set[str]] = some_names
) -> Asset:
    """An asset with up to three axes and some exclusions, at least one row remaining."""
    axes = {axis: draw(some_values) for axis in sorted(draw(names))}
    some_axes = st.sets(st.sampled_from(sorted(axes) or [""]), min_size=1)
    boxes = [
        {axis: draw(st.lists(st.sampled_from(axes[axis]), min_size=1)) for axis in sorted(named)}
        for named in draw(st.lists(some_axes, max_size=3 if axes else 0))
    ]
    asset = {"name": name, "axes": axes, "exclude": boxes, "prompt": prompt_with(axes)}
    return asset if combinations(asset) else asset | {"exclude": []}


def prompt_with(axes: Any) -> str:
    return " ".join(["a thing", *(f"{{{axis}}}" for axis in sorted(axes))])


def combinations(asset: Asset) -> list[dict[str, str]]:
    """The definition: the product of the axes by name, without what an exclusion agrees with."""
    names = sorted(asset["axes"])
    rows = [
        dict(zip(names, row, strict=True))
        for row in product(*(asset["axes"][name] for name in names))
    ]
    return [
        row
        for row in rows
        if not any(all(row[a] in vs for a, vs in box.items()) for box in asset["exclude"])
    ]


def turned(value: Any, shuffle: Any) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = list(value)
        shuffle.shuffle(keys)
        return {key: turned(value[key], shuffle) for key in keys}
    return [turned(item, shuffle) for item in value] if isinstance(value, list) else value


@settings(deadline=None, max_examples=40)
@given(assets())
def test_expansion_is_the_product_of_the_axes_without_the_exclusions_in_order(asset: Asset) -> None:
    specs = specs_of(asset)
    assert [spec.axes for spec in specs] == combinations(asset)
    assert count(plan_of(asset)) == len(specs) == len({spec.name for spec in specs})


@settings(deadline=None, max_examples=25)
@given(assets(), assets("other"), st.randoms(use_true_random=False))
def test_the_order_of_keys_means_nothing(asset: Asset, other: Asset, shuffle: Any) -> None:
    top = {"seed": 7, "tags": {"team": "art", "priority": 3}, "defaults": {"candidates": 2}}
    data = {"assets": [asset, other]} | top
    again = turned(data, shuffle)
    before = specs_of(*data.pop("assets"), **data)
    after = specs_of(*again.pop("assets"), **again)
    assert before == after
    assert [spec.digest for spec in before] == [spec.digest for spec in after]


@settings(deadline=None, max_examples=25)
@given(assets(), assets("other"))
def test_a_spec_does_not_depend_on_its_neighbours(asset: Asset, other: Asset) -> None:
    alone = {spec.name: spec.digest for spec in specs_of(asset)}
    together = {spec.name: spec.digest for spec in specs_of(other, asset)}
    assert alone.items() <= together.items()


@settings(deadline=None, max_examples=25)
@given(assets(), st.randoms(use_true_random=False))
def test_identical_specs_are_one(asset: Asset, shuffle: Any) -> None:
    stuttering = {axis: values + values[:1] for axis, values in asset["axes"].items()}
    plan = plan_of(asset, turned(asset, shuffle), asset | {"axes": stuttering})
    assert list(expand(plan, MODELS)) == specs_of(asset)
    assert count(plan) == len(specs_of(asset))


@settings(deadline=None, max_examples=40)
@given(assets())
def test_a_plan_survives_its_own_json(asset: Asset) -> None:
    plan = plan_of(asset, tags={"team": "art", "residency": "local"})
    again = type(plan).model_validate(plan.as_json())
    assert list(expand(again, MODELS)) == list(expand(plan, MODELS))


@settings(deadline=None, max_examples=40)
@given(*[assets("shared", st.just({"colour", "mood"}))] * 2)
def test_assets_of_one_name_are_counted_by_the_names_they_make(asset: Asset, two: Asset) -> None:
    names = {tuple(row.values()) for asset in (asset, two) for row in combinations(asset)}
    plan = plan_of(asset, two)
    assert count(plan) == len(list(expand(plan, MODELS))) == len(names)


def test_millions_of_combinations_are_counted_and_begun_without_being_made() -> None:
    axes = {f"axis{number}": [str(value) for value in range(10)] for number in range(7)}
    exclude = [{"axis0": "1"}, {"axis0": "1", "axis3": "4"}, {"axis6": ["0", "3"]}]
    asset = {"name": "many", "axes": axes, "exclude": exclude, "carry": sorted(axes)}
    plan = plan_of(asset, max_assets=10_000_000)
    assert count(plan) == 9 * 8 * 10**5
    assert [spec.name for spec in islice(expand(plan, MODELS), 2)] == [
        "many.0.0.0.0.0.0.1",
        "many.0.0.0.0.0.0.2",
    ]


def test_names_hold_the_values_in_the_alphabetical_order_of_their_axes() -> None:
    axes = {"size": ["Very Big"], "colour": ["Dark_Blue"], "amount": [1.5]}
    (spec,) = specs_of({"name": "gem", "axes": axes, "prompt": "{amount} {size} {colour}"})
    assert spec.name == "gem.1-5.dark_blue.very-big"
    assert list(spec.axes) == ["amount", "colour", "size"]
    assert spec.request.prompt == "1.5 Very Big Dark_Blue"


def test_seeds_follow_from_the_plans_seed_and_the_name_alone() -> None:
    colours = {"name": "gem", "axes": {"colour": ["red", "blue"]}, "prompt": "a {colour} gem"}
    first = {spec.name: spec.request.seed for spec in specs_of(colours, seed=7)}
    other_words = colours | {"prompt": "one {colour} gem", "sizes": [32]}
    assert first == {
        name: int.from_bytes(sha256(f'[7,"{name}"]'.encode()).digest()[:4], "big")
        for name in ("gem.red", "gem.blue")
    }
    assert first == {spec.name: spec.request.seed for spec in specs_of(other_words, seed=7)}
    assert set(first.values()).isdisjoint(spec.request.seed for spec in specs_of(colours, seed=8))
    assert specs_of(colours | {"seed": 8}, seed=7) == specs_of(colours, seed=8)


def test_digests_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from pathlib import Path; from app.plan.expand import expand;"
        "from app.plan.read import read_plan; from tests.plan.plans import MODELS;"
        "plan = read_plan(Path('jobs/plans/icons.yaml'));"
        "print(*(spec.digest for spec in expand(plan, MODELS)))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(runs.pop().split()) >= 48


def only(asset: Asset, **top: Any) -> AssetSpec:
    (spec,) = specs_of({"name": "gem"} | asset, **top)
    return spec


def test_an_asset_says_it_or_the_defaults_do() -> None:
    defaults = {"usage": "shop", "candidates": 3, "negative_prompt": "text", "pivot": {"y": 1}}
    inherited = only({}, defaults=defaults)
    assert (inherited.usage, inherited.candidates, inherited.attempts) == ("shop", 3, 9)
    assert inherited.request.negative_prompt == "text"
    assert inherited.pivot == Pivot(x=0.5, y=1)
    own = only({"usage": "map", "candidates": 1, "attempts": 5, "sizes": 32}, defaults=defaults)
    assert (own.usage, own.candidates, own.attempts) == ("map", 1, 5)
    assert own.sizes == (Size(width=32, height=32),)


def test_tags_are_inherited_one_by_one_and_change_no_digest() -> None:
    plain = only({})
    tagged = only({"tags": {"priority": 9}}, tags={"team": "art", "residency": "local"})
    assert tagged.request.tags == Tags(team="art", residency="local", priority=9)
    assert tagged.digest == plain.digest


def test_what_the_plan_leaves_open_the_model_version_answers() -> None:
    request = only({}).request
    assert (request.width, request.height) == (64, 64)
    assert (request.num_inference_steps, request.guidance_scale) == (12, 4)
    sized = only({"model": "open", "sizes": [32, "96x48", 64]})
    assert (sized.request.width, sized.request.height) == (96, 48)
    assert (sized.request.num_inference_steps, sized.model) == (28, "open")
    written = {"num_inference_steps": 5, "guidance_scale": 2.5, "width": 80, "height": 40}
    assert only(written).request.replace(**written) == only(written).request


def test_a_models_own_answer_outside_the_bounds_is_refused_before_the_first_spec() -> None:
    plan = plan_of({"name": "gem", "model": "open"}, bounds={"num_inference_steps": [1, 20]})
    with pytest.raises(OutOfBounds, match=r"gem: num_inference_steps is 28 by open/1.*at most 20"):
        expand(plan, MODELS)
    assert list(expand(plan, {"open": OPEN.replace(num_inference_steps=20)}))


def test_a_model_that_is_not_there_is_refused_before_the_first_spec() -> None:
    plan = plan_of({"name": "gem"}, {"name": "coin", "model": "sd4"})
    with pytest.raises(NoRoute, match="'sd4'; did you mean 'starter'"):
        expand(plan, MODELS)


def checks(spec: AssetSpec) -> dict[Measure, list[Rule]]:
    rules: dict[Measure, list[Rule]] = {}
    for rule in spec.rules:
        rules.setdefault(rule.check, []).append(rule)
    return rules


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_rules_and_expands(kind: Kind) -> None:
    spec = only({"kind": kind.value})
    assert spec.kind is kind
    assert spec.rules == RULES[kind]
    assert {Measure.DECODES, Measure.SIZE_ERROR} <= set(checks(spec))


def test_a_rule_replaces_the_one_it_inherits_for_the_same_check() -> None:
    defaults = {"rules": [{"check": "border", "at_most": 0.1}, {"check": "coverage", "at_most": 1}]}
    rules = [
        {"check": "border", "at_most": 0.2, "otherwise": "review"},
        {"check": "border", "at_most": 0.9, "otherwise": "reject"},
    ]
    checked = checks(only({"rules": rules}, defaults=defaults))
    assert checked[Measure.BORDER] == [
        Rule(check=Measure.BORDER, at_most=0.2, otherwise=Verdict.REVIEW),
        Rule(check=Measure.BORDER, at_most=0.9, otherwise=Verdict.REJECT),
    ]
    assert checked[Measure.COVERAGE] == [Rule(check=Measure.COVERAGE, at_most=1)]
    assert checked[Measure.FRAGMENTS] == checks(only({}))[Measure.FRAGMENTS]


def test_without_a_critic_agreement_is_asked_only_where_the_plan_asks_for_it() -> None:
    written = {"model": "open", "rules": [{"check": "agreement", "at_least": 0.3}]}
    assert Measure.AGREEMENT in checks(only({}))
    assert Measure.AGREEMENT not in checks(only({"model": "open"}))
    assert Measure.AGREEMENT in checks(only(written))


def test_locale_and_experiment_ride_along_without_being_in_the_prompt() -> None:
    axes = {"locale": ["de", "fr"], "experiment": ["a", "b"], "tier": ["x"]}
    specs = specs_of({"name": "banner", "axes": axes, "carry": ["tier"]})
    assert [spec.name for spec in specs] == [
        "banner.a.de.x",
        "banner.a.fr.x",
        "banner.b.de.x",
        "banner.b.fr.x",
    ]
    assert specs[1].axes == {"experiment": "a", "locale": "fr", "tier": "x"}
    assert {spec.request.prompt for spec in specs} == {"a thing"}


def test_texts_have_one_form_however_they_were_typed() -> None:
    composed = only({"prompt": "a caf\u00e9 sign", "usage": "big shop"})
    typed = only({"prompt": "  a cafe\u0301\n sign ", "usage": "big\tshop"})
    assert typed == composed
    assert typed.digest == composed.digest


def test_values_are_never_read_as_templates() -> None:
    asset = {"axes": {"colour": ["{mood} red"], "mood": ["sad"]}, "prompt": "{{a}} {colour} {mood}"}
    assert only(asset).request.prompt == "{a} {mood} red sad"


def test_text_layers_are_carried_with_the_axes_filled_in() -> None:
    layer = {"text": "Sale\nin {locale}", "colour": "#ff0000"}
    axes = {"locale": ["de", "fr"]}
    specs = specs_of({"name": "banner", "axes": axes, "text_layers": [layer]})
    assert [spec.request.text_layers[0].text for spec in specs] == ["Sale\nin de", "Sale\nin fr"]
    assert specs[0].request.text_layers[0].colour == "#ff0000"


def test_numbers_among_axis_values_stay_as_they_were_written() -> None:
    plan = "atelier: 1\nname: n\nassets:\n- {name: gem, kind: icon, prompt: '{v}', sizes: 64, "
    read_back = read(plan + "axes: {v: [1.50, 007, 1e3, 2026-11-21, 0x1F]}}")
    assert read_back.assets[0].axes["v"] == ("1.50", "007", "1e3", "2026-11-21", "0x1F")


@pytest.mark.parametrize("written", ["64x32", ["64x32"], [{"width": 64, "height": 32}]])
def test_a_size_may_be_written_in_several_ways(written: Any) -> None:
    assert only({"sizes": written}).sizes == (Size(width=64, height=32),)
