"""Inherit: completes an asset of a plan with everything that it leaves to the plan."""

from collections.abc import Iterator, Sequence
from typing import Any

from app.plan.background import Background
from app.plan.brand import brand_rules
from app.plan.fields import RangeText
from app.plan.schema import Bounds, Plan, PlanAsset
from app.types import BrandRule, Kind, Pivot, Refine, Rule, Sampler, Size, Tags, TextLayer, Value

REQUIRED = ("kind", "prompt", "sizes")
"""The fields that the asset or the defaults must give."""


class CompleteAsset(Value):
    """The fields that all rows of an asset share; the model version supplies those left None."""

    name: str
    model: str
    seed: int
    kind: Kind
    usage: str = ""
    prompt: str
    negative_prompt: str = ""
    sizes: tuple[Size, ...]
    candidates: int = 1
    attempts: int
    refine: Refine = Refine.SEED
    rules: tuple[Rule, ...]
    brand: tuple[BrandRule, ...] = ()
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    sampler: Sampler = Sampler.EULER
    width: int | None = None
    height: int | None = None
    pivot: Pivot = Pivot()
    tags: Tags
    text_layers: tuple[TextLayer, ...]
    background: Background | None = None


def missing_fields(plan: Plan, asset: PlanAsset) -> list[str]:
    """Returns the required fields that neither the asset nor the defaults give."""
    explicit = _explicit_value(plan.defaults) | _explicit_value(asset)
    return [field for field in REQUIRED if field not in explicit]


def with_defaults(plan: Plan, asset: PlanAsset) -> CompleteAsset:
    """Returns the asset after inheritance; no required field may be missing."""
    own: dict[str, Any] = {"model": plan.model, "seed": plan.seed}
    explicit = own | _explicit_value(plan.defaults) | _explicit_value(asset)
    written = {
        name: value for name, value in explicit.items() if name in CompleteAsset.model_fields
    }
    tries = 1 if "background" in explicit else 3  # a background is the same for every seed
    return CompleteAsset(
        **{"attempts": min(tries * explicit.get("candidates", 1), 256)}
        | written
        | {
            "rules": merge_rules(plan.defaults.rules, asset.rules),
            "brand": brand_rules(plan.brand),
            "tags": Tags(**_explicit_value(plan.tags) | _explicit_value(asset.tags)),
        }
    )


def merge_rules(rules: Sequence[Rule], by: Sequence[Rule]) -> tuple[Rule, ...]:
    """Returns the rules; those with the same check as a rule of `by` are replaced by `by`'s."""
    checks = {rule.check for rule in by}
    return (*(rule for rule in rules if rule.check not in checks), *by)


def out_of_bounds(asset: CompleteAsset, bounds: Bounds) -> Iterator[tuple[str, float, RangeText]]:
    """Yields the parameters outside the bounds: field, number, and the allowed range."""
    for field in Bounds.model_fields:
        limits, number = getattr(bounds, field), getattr(asset, field, None)
        if isinstance(limits, RangeText) and number is not None and number not in limits:
            yield field, number, limits


def _explicit_value(value: Value) -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in type(value).model_fields}
    return {name: field for name, field in fields.items() if field is not None}
