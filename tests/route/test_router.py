"""Routing: a plan's open models are chosen by the policy that holds, and it is noted why."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli.main import atelier
from app.cli.render.routes import show_explanation
from app.errors import InvalidRequest, NoRoute
from app.fleet.prices import Price, PriceSheet
from app.models.bundled import ECHO
from app.plan.expand import expand, expand_variants, model_variants
from app.plan.schema import AUTO, AssetTags, Plan, PlanAsset, RoutePlan
from app.route.cascade import Explanation
from app.route.explain import explain_asset, explain_request, policy_arms
from app.route.policy import keep_policy, learn_policy, promote_policy, recorded_stages, start_trial
from app.route.router import ModelRouter, asset_key, routes_of
from app.store import database, documents, ledger
from app.store.catalog import Catalog
from app.store.ledger import Account, Attempt, AttemptCost, AttemptEnding
from app.store.publish import Store, open_store, publish_assets
from app.store.run_statistics import latest_verdicts
from app.types import (
    AssetRecord,
    AssetSpec,
    HostedEndpoint,
    Kind,
    ModelVersion,
    Size,
    StageResult,
    Status,
    version_of,
)

LIGHT, HEAVY = (
    ECHO.replace(name=name, weights_digest=letter * 64)
    for name, letter in (("light", "a"), ("heavy", "b"))
)
ABROAD = ECHO.replace(
    name="abroad", family="hosted", weights_digest="c" * 64,
    hosted=HostedEndpoint(url="https://api.example.com/v1", model="painter"),
)  # fmt: skip
MODELS = {"light": LIGHT, "heavy": HEAVY, "abroad": ABROAD}
PRICES = PriceSheet(models={"light": Price(call=0.01), "heavy": Price(call=0.1)})
TERMS = RoutePlan(models=("light", "heavy"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")


def plan_of(**changes: Any) -> Plan:
    asset = {
        "name": "potion",
        "kind": "icon",
        "prompt": "a {colour} potion",
        "axes": {"colour": ["red", "blue"]},
        "sizes": [{"width": 64, "height": 64}],
        "attempts": 3,
    }
    plan = {"atelier": 1, "name": "auto", "model": "auto", "route": TERMS, "assets": [asset]}
    return Plan.model_validate(plan | changes)


def first_variants(**changes: Any) -> tuple[AssetSpec, ...]:
    return next(expand_variants(plan_of(**changes), MODELS))


def past(
    store: Store, model: ModelVersion, passed: int, assets: int, *, seconds: float = 1
) -> None:
    """Decided assets of a model, each tried once."""
    spec = first_variants()[0].replace(model=model.name)
    records = []
    for number in range(assets):
        own = spec.replace(name=f"{model.name}-{number}")
        key = asset_key([own], MODELS)
        success = int(number < passed)
        turn = StageResult(model=model.reference, tried=1, passed=success, seconds=seconds)
        records.append(
            AssetRecord(
                key=key, name=own.name, version=version_of(key), status=Status.REJECTED, spec=own,
                model=model.reference, report=None, reasons=("no",), image=None, asset=None,
                provenance=None, attempts=1, run_id="past", turns=(turn,),
            )
        )  # fmt: skip
    publish_assets(store, [(record, ()) for record in records])


def learned(store: Store) -> str:
    return keep_policy(store.catalog, learn_policy(latest_verdicts(store.catalog)))


def chosen(catalog: Catalog, terms: RoutePlan = TERMS, **changes: Any) -> Explanation:
    variants = first_variants(route=terms, **changes)
    choice = ModelRouter(terms, MODELS, catalog, PRICES).choose(
        variants, asset_key(variants, MODELS)
    )
    explanation = documents.get(catalog, choice.explained, Explanation)
    assert explanation.chosen == choice.plan
    return explanation


def names(explanation: Explanation) -> list[str]:
    return [stage.name for stage in explanation.chosen.rungs]


def test_a_plan_that_leaves_the_model_open_has_a_spec_for_each_of_them() -> None:
    variants = list(expand_variants(plan_of(), MODELS))
    assert [[spec.model for spec in specs] for specs in variants] == [["light", "heavy"]] * 2
    assert [specs[0].name for specs in variants] == ["potion.red", "potion.blue"]
    assert len({spec.request.seed for spec in variants[0]}) == 1
    assert len({spec.labels for spec in variants[0]}) == 1
    named = plan_of(model="light", route=None)
    assert list(expand_variants(named, MODELS)) == [(spec,) for spec in expand(named, MODELS)]
    assert model_variants(named) == (named,)


def test_the_key_of_an_asset_is_the_same_whichever_model_makes_it() -> None:
    first, other = (asset_key(variants, MODELS) for variants in expand_variants(plan_of(), MODELS))
    assert first != other
    assert first == asset_key(first_variants(), MODELS)
    assert first != asset_key(first_variants(route=RoutePlan(models=("light", "abroad"))), MODELS)
    (single,) = first_variants(model="light", route=None)
    assert asset_key([single], MODELS) == routes_of([single], MODELS)[0]["light"].key(single.digest)


def test_before_anything_was_learned_the_built_in_way_is_taken(store: Store) -> None:
    explanation = chosen(store.catalog)
    assert (explanation.policy, explanation.arm, names(explanation)) == (
        None,
        "builtin",
        ["light", "heavy"],
    )


def test_a_promoted_policy_decides_and_the_document_says_so(store: Store) -> None:
    past(store, LIGHT, 196, 200)
    past(store, HEAVY, 200, 200, seconds=9)
    digest = learned(store)
    assert chosen(store.catalog).policy is None, "it decides nothing until it is promoted"
    promote_policy(store.catalog, digest)
    explanation = chosen(store.catalog)
    assert (explanation.policy, explanation.arm, names(explanation)) == (digest, "live", ["light"])
    assert [(o.model, o.seconds, o.measured) for o in explanation.options] == [
        ("light/1", 1, "the policy"), ("heavy/1", 9, "the policy"),
    ]  # fmt: skip


def test_sorts_are_told_apart_only_by_what_the_policy_knows(store: Store) -> None:
    past(store, LIGHT, 100, 200)
    promote_policy(store.catalog, learned(store))
    known = chosen(store.catalog).wish.labels
    assert "colour=red" in known, "every asset of the past was red"
    other = next(iter(expand_variants(plan_of(), MODELS)))
    green = tuple(spec.replace(axes={"colour": "green", "mood": "gay"}) for spec in other)
    routing = ModelRouter(TERMS, MODELS, store.catalog, PRICES)
    strange = routing.explain(green, asset_key(green, MODELS)).wish.labels
    assert strange == ("64x64", "colour=?", "mood=?")


def test_a_policy_on_trial_is_only_noted_or_gets_its_share(store: Store) -> None:
    past(store, LIGHT, 2, 200)
    past(store, HEAVY, 200, 200)
    dear = learned(store)
    promote_policy(store.catalog, dear)
    cheap = keep_policy(store.catalog, learn_policy([]))
    start_trial(store.catalog, cheap, share=0)
    explanation = chosen(store.catalog)
    assert (names(explanation), explanation.shadow) == (["heavy"], "light/1 x1, then heavy/1 x2")
    start_trial(store.catalog, cheap, share=1)
    explanation = chosen(store.catalog)
    assert (explanation.arm, explanation.policy, names(explanation)) == (
        "trial",
        cheap,
        ["light", "heavy"],
    )


def booked(store: Store, model: ModelVersion, seconds: float) -> None:
    account = Account(model=model.reference)
    attempts = [
        Attempt(
            f"{model.name}{n}{seconds}", "run", 1, account, AttemptEnding.MADE, AttemptCost(seconds)
        )
        for n in range(5)
    ]
    store.catalog.write(
        lambda connection: ledger.book_attempts(connection, attempts, database.clock(connection)),
        names=(),
    )


def test_a_slow_spell_moves_traffic_at_the_next_look_and_its_end_moves_it_back(
    store: Store,
) -> None:
    past(store, LIGHT, 199, 200)
    past(store, HEAVY, 200, 200, seconds=9)
    promote_policy(store.catalog, learned(store))
    by_time = PriceSheet(cpu_second=1)
    routing = ModelRouter(TERMS, MODELS, store.catalog, by_time)
    variants = first_variants()
    key = asset_key(variants, MODELS)

    def now() -> str:
        return routing.choose(variants, key).plan.rungs[0].name

    assert now() == "light"
    booked(store, LIGHT, 300.0)
    assert now() == "light", "the same wave goes the same way"
    routing.refresh()
    assert now() == "heavy"
    with store.catalog.writing() as connection:  # ten minutes later
        connection.exec_driver_sql("UPDATE ledger SET created_at = '2020-01-01T00:00:00.000Z'")
    routing.refresh()
    assert now() == "light"


residencies = st.sampled_from(["", "local"])
fleets = st.lists(st.sampled_from(sorted(MODELS)), min_size=1, unique=True).map(tuple)


@settings(max_examples=40, deadline=None)
@given(models=fleets, residency=residencies, text=st.booleans(), candidates=st.integers(1, 2))
def test_local_work_never_goes_to_a_hosted_model_by_any_way(
    tmp_path_factory: pytest.TempPathFactory,
    models: tuple[str, ...],
    residency: str,
    text: bool,
    candidates: int,
) -> None:
    catalog = Catalog.open(f"sqlite:///{tmp_path_factory.getbasetemp() / 'shared.db'}")
    tags = {"residency": residency} if residency else {}
    terms = RoutePlan(models=models)
    try:
        explanation = chosen(catalog, terms, tags=tags)
    except NoRoute:
        assert (models, residency) == (("abroad",), "local")
        return
    finally:
        catalog.close()
    asked = {stage.name for plan in explanation.ways for stage in plan.rungs}
    offered = {option.name for option in explanation.options}
    assert asked <= offered
    if residency == "local":
        assert "abroad" not in offered
        assert ("abroad" in models) == ("abroad" in explanation.removed)
    else:
        assert offered == set(models)


def test_models_that_cannot_make_an_asset_are_removed_and_named(store: Store) -> None:
    small = LIGHT.replace(sizes=(Size(width=8, height=8),))
    fleet = MODELS | {"light": small}
    plan = plan_of()
    sized = plan.assets[0].replace(width=64, height=64)
    variants = next(expand_variants(plan.replace(assets=(sized,)), fleet))
    explanation = ModelRouter(TERMS, fleet, store.catalog, PRICES).explain(
        variants, asset_key(variants, fleet)
    )
    assert names(explanation) == ["heavy"]
    assert "was not trained" in explanation.removed["light"]
    alone = ModelRouter(RoutePlan(models=("light",)), fleet, store.catalog, PRICES)
    with pytest.raises(NoRoute, match=r"no model of the plan's route can make potion.red: light:"):
        alone.explain(variants[:1], "0" * 64)
    with pytest.raises(InvalidRequest, match="did you mean"):
        routes_of([variants[0].replace(model="ligth")], fleet)


def requested(tags: AssetTags) -> PlanAsset:
    """An asset that a plan could hold."""
    return PlanAsset(
        name="request", model=AUTO, kind=Kind.ICON, prompt="a red potion", tags=tags,
        sizes=(Size(width=64, height=64),),
    )  # fmt: skip


def test_a_request_is_explained_without_anything_being_kept(store: Store) -> None:
    explanation = explain_request(
        store.catalog, MODELS, PRICES, RoutePlan(models=("light", "abroad")),
        requested(AssetTags(labels=("bottle",), residency="local")),
    )  # fmt: skip
    assert explanation.explanation is not None
    assert explanation.explanation.wish.labels == ("?",), "what no policy knows is not told apart"
    assert list(explanation.explanation.removed) == ["abroad"]
    assert documents.newest(store.catalog, "explanation") == {}


def test_what_each_policys_assets_came_to_is_told_side_by_side(store: Store) -> None:
    past(store, LIGHT, 2, 200)
    past(store, HEAVY, 200, 200)
    promote_policy(store.catalog, learned(store))
    start_trial(store.catalog, keep_policy(store.catalog, learn_policy([])), share=0)
    noted = documents.put(store.catalog, "explanation", [chosen(store.catalog)])[0]
    for number in range(3):
        record = store.catalog.asset("light-0").replace(
            name=f"asset-{number}", key=f"{number}" * 64, version=f"{number}" * 12, explained=noted
        )  # fmt: skip
        publish_assets(store, [(record, ())])
    (arm,) = policy_arms(store.catalog, latest_verdicts(store.catalog))
    assert (arm.arm, arm.assets, arm.accepted, arm.images) == ("live", 3, 0, 3)
    assert (arm.other, arm.seconds) == (3, 3.0)


def test_an_asset_of_a_named_model_is_explained_as_such(store: Store) -> None:
    past(store, LIGHT, 1, 1)
    record = store.catalog.asset("light-0")
    explanation = explain_asset(store.catalog, record)
    assert (explanation.named, explanation.explanation, explanation.turns[0].model) == (
        True,
        None,
        "light/1",
    )


def test_what_a_record_of_before_turns_came_to_is_still_learned_from(store: Store) -> None:
    past(store, LIGHT, 0, 1)
    record = store.catalog.asset("light-0").replace(turns=(), attempts=4)
    assert recorded_stages(record) == (StageResult(model="light/1", tried=4, passed=0, seconds=0),)
    policy = learn_policy([record])
    assert policy.paces == {}
    assert policy.assets == 1


def test_an_explanation_is_said_to_a_person(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    past(store, LIGHT, 120, 200)
    past(store, HEAVY, 200, 200, seconds=9)
    promote_policy(store.catalog, learned(store))
    show_explanation(
        explain_request(
            store.catalog,
            MODELS,
            PRICES,
            RoutePlan(models=("light", "heavy", "abroad")),
            requested(AssetTags(residency="local")),
        )
    )
    output = " ".join(capsys.readouterr().out.split())
    for part in ("(live)", "heavy/1 x3", "surely", "not abroad", "residency is local"):
        assert part in output


def test_a_request_without_models_or_an_asset_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    for arguments, message in (
        (["explain"], "give either an asset, or --request"),
        (["explain", "x", "--request", "y"], "give either an asset, or --request"),
        (["explain", "--request", "y"], "names 0 models"),
        (["explain", "--request", "y", "--models", "a,b,c,d,e,f,g"], "names 7 models"),
        (["policy", "learn"], "no decided asset to learn from"),
    ):
        done = CliRunner().invoke(atelier, [*arguments, "--json"])
        assert done.exit_code == 2
        assert message in json.loads(done.stdout)["message"]
