"""Expand: turns a plan into its asset specs, exactly and in order."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from math import prod
from typing import NamedTuple, TypeAlias

from app.digest import digest
from app.errors import OutOfBounds
from app.fleet.versions import resolve
from app.plan.inherit import CompleteAsset, merge_rules, out_of_bounds, with_defaults
from app.plan.schema import AUTO, RULES, TEXT_RULES, Plan, PlanAsset
from app.plan.templates import fill, normalise, slug
from app.types import AssetSpec, GenerationRequest, Measure, ModelVersion, Rule, Size

Box: TypeAlias = frozenset[tuple[str, frozenset[str]]]
"""An exclusion: for each axis it names, the values it matches."""


class AxisRow(NamedTuple):
    """One combination: its name, and the value of each axis, axes sorted by name."""

    name: str
    axes: dict[str, str]


def sorted_axes(asset: PlanAsset) -> list[tuple[str, tuple[str, ...]]]:
    """Returns the axes sorted by name, each value once; the file's order of keys is ignored."""
    return [(axis, tuple(dict.fromkeys(asset.axes[axis]))) for axis in sorted(asset.axes)]


def axis_rows(asset: PlanAsset) -> Iterator[AxisRow]:
    """Yields the combinations that are not excluded; the last axis changes fastest."""
    axes = sorted_axes(asset)
    for combination in product(*(values for _, values in axes)):
        chosen = dict(zip((axis for axis, _ in axes), combination, strict=True))
        if not any(_matches(entry, chosen) for entry in asset.exclude):
            yield AxisRow(".".join([asset.name, *map(slug, combination)]), chosen)


def combination_count(asset: PlanAsset) -> int:
    """Returns the number of combinations before exclusion."""
    return prod(len(values) for _, values in sorted_axes(asset))


def row_count(asset: PlanAsset) -> int:
    """Returns the number of rows, computed without making them."""
    boxes = frozenset(
        frozenset((axis, frozenset(values)) for axis, values in entry.items())
        for entry in asset.exclude
    )
    return _remaining(sorted_axes(asset), boxes)


def _matches(entry: Mapping[str, Sequence[str]], chosen: Mapping[str, str]) -> bool:
    return all(chosen[axis] in values for axis, values in entry.items())


def _remaining(axes: Sequence[tuple[str, tuple[str, ...]]], boxes: frozenset[Box]) -> int:
    """Returns the number of rows left, axis by axis.

    Values that leave the same exclusions have the same number of rows each.
    """
    if frozenset() in boxes:
        return 0
    if not boxes:
        return prod(len(values) for _, values in axes)
    (axis, values), rest = axes[0], axes[1:]
    left = Counter(frozenset(_left(boxes, axis, value)) for value in values)
    return sum(times * _remaining(rest, boxes) for boxes, times in left.items())


def _left(boxes: frozenset[Box], axis: str, value: str) -> Iterator[Box]:
    """Yields the exclusions that match this value, without this axis."""
    for box in boxes:
        allowed = dict(box).get(axis)
        if allowed is None or value in allowed:
            yield frozenset(part for part in box if part[0] != axis)


def expand(plan: Plan, models: Mapping[str, ModelVersion]) -> Iterator[AssetSpec]:
    """Returns an iterator over the specs in the order of the plan's lists, made lazily.

    Within an asset the axes are sorted by name and the last one changes fastest. Of identical specs
    only the first is yielded. `models` holds the versions by the references that plans use; the
    version supplies what the plan leaves open (size, steps, guidance). Raises NoRoute for an
    unknown reference, and OutOfBounds when a version's value is outside the plan's bounds, both
    before the first spec.
    """
    shared = [
        _with_model_defaults(plan, with_defaults(plan, asset), models) for asset in plan.assets
    ]
    return _specs(plan.assets, shared)


def model_variants(plan: Plan) -> tuple[Plan, ...]:
    """Returns the plan once per model of its route; only the plan itself if it has no choice."""
    models = {asset.model or plan.model for asset in plan.assets}
    if plan.route is None or AUTO not in models:
        return (plan,)
    return tuple(_made_by(plan, model) for model in plan.route.models)


def expand_variants(
    plan: Plan, models: Mapping[str, ModelVersion]
) -> Iterator[tuple[AssetSpec, ...]]:
    """Yields, for each asset in the plan's order, its spec for every model that may make it.

    One spec where the plan names the model. Raises what `expand` raises, before the first.
    """
    sides = [expand(way, models) for way in model_variants(plan)]
    return (
        tuple({spec.model: spec for spec in specs}.values()) for specs in zip(*sides, strict=True)
    )


def _made_by(plan: Plan, model: str) -> Plan:
    assets = (asset.replace(model=model) if asset.model == AUTO else asset for asset in plan.assets)
    return plan.replace(model=model if plan.model == AUTO else plan.model, assets=tuple(assets))


def draft_plan(plan: Plan) -> Plan | None:
    """Returns the plan with every asset made by the budget's draft model; None without one.

    Its specs have the same names as the plan's own, in the same order.
    """
    model = plan.budget.draft_model if plan.budget else None
    if model is None:
        return None
    assets = tuple(asset.replace(model=None) for asset in plan.assets)
    return plan.replace(model=model, assets=assets)


def count(plan: Plan) -> int:
    """Returns the number of specs that `expand` yields, without making them."""
    families = sorted(plan.assets, key=_name)
    return sum(distinct(list(family)) for _, family in groupby(families, key=_name))


def distinct(assets: Sequence[PlanAsset]) -> int:
    """Returns the number of rows with different names among assets with one name."""
    if len(assets) == 1:
        return row_count(assets[0])
    return len({row.name for asset in assets for row in axis_rows(asset)})


def fill_row(asset: CompleteAsset, row: AxisRow) -> CompleteAsset:
    """Returns the asset for one row: named, and its texts filled with the row's values."""
    return asset.replace(
        name=row.name,
        prompt=normalise(fill(asset.prompt, row.axes)),
        negative_prompt=normalise(fill(asset.negative_prompt, row.axes)),
        text_layers=tuple(
            layer.replace(text=fill(layer.text, row.axes)) for layer in asset.text_layers
        ),
    )


def _name(asset: PlanAsset) -> str:
    return asset.name


def _specs(assets: Sequence[PlanAsset], shared: Sequence[CompleteAsset]) -> Iterator[AssetSpec]:
    """Yields the specs; only assets that share a name can collide, so only their rows are kept."""
    families = Counter(asset.name for asset in assets)
    seen: set[str] = set()
    for asset, common in zip(assets, shared, strict=True):
        for row in axis_rows(asset):
            if row.name in seen:
                continue
            if families[asset.name] > 1:
                seen.add(row.name)
            yield _spec(fill_row(common, row), row)


def _with_model_defaults(
    plan: Plan, asset: CompleteAsset, models: Mapping[str, ModelVersion]
) -> CompleteAsset:
    """Returns the asset with the model version's values for open fields, within bounds."""
    model = resolve(asset.model, models)
    frame = model.sizes[0] if model.sizes else max(asset.sizes, key=_area)
    answers = {
        "width": frame.width,
        "height": frame.height,
        "num_inference_steps": model.num_inference_steps,
        "guidance_scale": model.guidance_scale,
    }
    open_fields = {field: own for field, own in answers.items() if getattr(asset, field) is None}
    answered = asset.replace(rules=merge_rules(_rules(asset, model), asset.rules), **open_fields)
    for field, number, limits in out_of_bounds(answered, plan.bounds):
        raise OutOfBounds(
            f"{asset.name}: {field} is {number:g} by {model.reference}, outside the plan's bounds "
            f"({limits}); write {field} in the plan or widen the bounds"
        )
    return answered


def _area(size: Size) -> tuple[int, int]:
    return size.width * size.height, size.width


def _rules(asset: CompleteAsset, model: ModelVersion) -> list[Rule]:
    """Returns the kind's rules; without a critic, agreement cannot be measured.

    With text layers, letters are separate pieces of the image and must be readable as written.
    """
    rules = TEXT_RULES if asset.text_layers else RULES[asset.kind]
    return [rule for rule in rules if model.critic or rule.check is not Measure.AGREEMENT]


def _spec(asset: CompleteAsset, row: AxisRow) -> AssetSpec:
    """Returns the spec; its seed depends only on the plan's seed and its own name."""
    fields = {name: getattr(asset, name) for name in CompleteAsset.model_fields}
    seed = int(digest([asset.seed, asset.name])[:8], 16)
    request = {name: fields[name] for name in GenerationRequest.model_fields if name in fields}
    spec = {name: fields[name] for name in AssetSpec.model_fields if name in fields}
    if asset.background is not None:
        request |= {"init_image": asset.background.digest, "strength": 0}
    return AssetSpec(**spec, axes=row.axes, request=GenerationRequest(**request | {"seed": seed}))
