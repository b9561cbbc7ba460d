"""Explains why an asset was, or would be, made by its models."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.fleet.prices import PriceSheet
from app.plan.expand import expand_variants
from app.plan.schema import Plan, PlanAsset, RoutePlan
from app.route.cascade import Explanation
from app.route.router import ModelRouter, asset_key
from app.store import documents
from app.store.catalog import Catalog
from app.types import AssetRecord, ModelVersion, Retry, StageResult, Status, Value


class AssetExplanation(Value):
    """An asset's cascade, and the result of each model's stage."""

    asset: str
    model: str
    named: bool
    """Whether the plan named the model, so that there was nothing to choose."""
    explanation: Explanation | None
    turns: tuple[StageResult, ...] = ()
    retries: tuple[Retry, ...] = ()


class PolicyArm(Value):
    """The results of the assets that one policy decided, among the records given."""

    policy: str
    """Empty: the built-in cascade."""
    arm: str
    assets: int
    accepted: int
    images: int
    seconds: float
    other: int
    """How many of these the trial policy would have given another cascade."""


def policy_arms(catalog: Catalog, records: Sequence[AssetRecord]) -> tuple[PolicyArm, ...]:
    """Returns the results of assets by the policy that decided them, the most assets first."""
    documents_of = {
        digest: documents.get(catalog, digest, Explanation)
        for digest in {record.explained for record in records if record.explained}
    }
    grouped: defaultdict[tuple[str, str], list[AssetRecord]] = defaultdict(list)
    for record in records:
        if record.explained:
            explanation = documents_of[record.explained]
            grouped[explanation.policy or "", explanation.arm].append(record)
    rows = [_arm(*name, decided, documents_of) for name, decided in grouped.items()]
    return tuple(sorted(rows, key=lambda row: (-row.assets, row.policy)))


def _arm(
    policy: str, arm: str, decided: Sequence[AssetRecord], explanations: Mapping[str, Explanation]
) -> PolicyArm:
    shadows = [explanations[record.explained] for record in decided if record.explained]
    return PolicyArm(
        policy=policy,
        arm=arm,
        assets=len(decided),
        accepted=sum(record.status is Status.ACCEPTED for record in decided),
        images=sum(record.attempts for record in decided),
        seconds=sum(turn.seconds for record in decided for turn in record.turns),
        other=sum(shadow.shadow not in ("", str(shadow.chosen)) for shadow in shadows),
    )


def explain_asset(catalog: Catalog, record: AssetRecord) -> AssetExplanation:
    """Returns why a recorded asset was made by its model. Raises DigestMismatch."""
    explanation = record.explained and documents.get(catalog, record.explained, Explanation)
    return AssetExplanation(
        asset=f"{record.name}@{record.version}",
        model=record.model,
        named=explanation is None,
        explanation=explanation or None,
        turns=record.turns,
        retries=record.retries,
    )


def explain_request(
    catalog: Catalog,
    models: Mapping[str, ModelVersion],
    prices: PriceSheet,
    terms: RoutePlan,
    asset: PlanAsset,
) -> AssetExplanation:
    """Returns why an asset with `model: auto` would get its cascade now; generates nothing.

    Raises NoRoute when none of the models can make it.
    """
    plan = Plan(atelier=1, name=asset.name, route=terms, assets=(asset,))
    (variants,) = expand_variants(plan, models)
    routing = ModelRouter(terms, models, catalog, prices, keeps=False)
    explanation = routing.explain(variants, asset_key(variants, models))
    first = explanation.chosen.rungs[0].model
    return AssetExplanation(asset=asset.name, model=first, named=False, explanation=explanation)
