"""Expand: a plan becomes its asset specs, exactly and in order."""

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
    """The axes by name, so that the order of keys in the file means nothing; each value once."""
    return [(axis, tuple(dict.fromkeys(asset.axes[axis]))) for axis in sorted(asset.axes)]


def axis_rows(asset: PlanAsset) -> Iterator[AxisRow]:
    """The combinations that are not excluded; the last axis turns fastest, as an odometer."""
    axes = sorted_axes(asset)
    for combination in product(*(values for _, values in axes)):
        chosen = dict(zip((axis for axis, _ in axes), combination, strict=True))
        if not any(_matches(entry, chosen) for entry in asset.exclude):
            yield AxisRow(".".join([asset.name, *map(slug, combination)]), chosen)


def combination_count(asset: PlanAsset) -> int:
    """The number of combinations before exclusion."""
    return prod(len(values) for _, values in sorted_axes(asset))


def row_count(asset: PlanAsset) -> int:
    """The number of rows, counted without making them."""
    boxes = frozenset(
        frozenset((axis, frozenset(values)) for axis, values in entry.items())
        for entry in asset.exclude
    )
    return _remaining(sorted_axes(asset), boxes)


def _matches(entry: Mapping[str, Sequence[str]], chosen: Mapping[str, str]) -> bool:
    return all(chosen[axis] in values for axis, values in entry.items())


def _remaining(axes: Sequence[tuple[str, tuple[str, ...]]], boxes: frozenset[Box]) -> int:
    """Axis by axis: values that the same exclusions are left for have as many rows each."""
    if frozenset() in boxes:
        return 0
    if not boxes:
        return prod(len(values) for _, values in axes)
    (axis, values), rest = axes[0], axes[1:]
    left = Counter(frozenset(_left(boxes, axis, value)) for value in values)
    return sum(times * _remaining(rest, boxes) for boxes, times in left.items())


def _left(boxes: frozenset[Box], axis: str, value: str) -> Iterator[Box]:
    """What the exclusions still ask of the other axes, for those that this value agrees with."""
    for box in boxes:
        allowed = dict(box).get(axis)
        if allowed is None or value in allowed:
            yield frozenset(part for part in box if part[0] != axis)


def expand(plan: Plan, models: Mapping[str, ModelVersion]) -> Iterator[AssetSpec]:
    """The specs in the order of the plan's lists, made one by one as they are asked for.

    Within an asset the axes stand sorted by name and the last one turns fastest. Of identical
    specs only the first is given. `models` holds the versions under the references that plans
    write; what the plan leaves open (size, steps, guidance) the version answers. Raises NoRoute
    for a reference that is not there, and OutOfBounds when a version's answer lies outside the
    plan's bounds, both before the first spec.
    """
    shared = [
        _with_model_defaults(plan, with_defaults(plan, asset), models) for asset in plan.assets
    ]
    return _specs(plan.assets, shared)


def model_variants(plan: Plan) -> tuple[Plan, ...]:
    """The plan as each model that it leaves the choice to would make it; else itself alone."""
    models = {asset.model or plan.model for asset in plan.assets}
    if plan.route is None or AUTO not in models:
        return (plan,)
    return tuple(_made_by(plan, model) for model in plan.route.models)


def expand_variants(
    plan: Plan, models: Mapping[str, ModelVersion]
) -> Iterator[tuple[AssetSpec, ...]]:
    """Of each asset, in the plan's order, the spec for every model that may make it.

    Where the plan names the model there is one. Raises what `expand` raises, before the first.
    """
    sides = [expand(way, models) for way in model_variants(plan)]
    return (
        tuple({spec.model: spec for spec in specs}.values()) for specs in zip(*sides, strict=True)
    )


def _made_by(plan: Plan, model: str) -> Plan:
    assets = (asset.replace(model=model) if asset.model == AUTO else asset for asset in plan.assets)
    return plan.replace(model=model if plan.model == AUTO else plan.model, assets=tuple(assets))


def draft_plan(plan: Plan) -> Plan | None:
    """The plan as its budget's draft model would make all of it; None when it stops at its cap.

    Its specs have the names of the plan's own, in the same order.
    """
    model = plan.budget.draft_model if plan.budget else None
    if model is None:
        return None
    assets = tuple(asset.replace(model=None) for asset in plan.assets)
    return plan.replace(model=model, assets=assets)


def count(plan: Plan) -> int:
    """The number of specs `expand` gives, without making them."""
    families = sorted(plan.assets, key=_name)
    return sum(distinct(list(family)) for _, family in groupby(families, key=_name))


def distinct(assets: Sequence[PlanAsset]) -> int:
    """The number of rows with different names among assets of one name."""
    if len(assets) == 1:
        return row_count(assets[0])
    return len({row.name for asset in assets for row in axis_rows(asset)})


def fill_row(asset: CompleteAsset, row: AxisRow) -> CompleteAsset:
    """The asset for one row: named, and its texts with the row's values."""
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
    """Names can only meet among assets of one name, so only those are remembered."""
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
    """The asset with the model version's own answers, inside the plan's bounds."""
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
    """The kind's rules; without a critic nobody can say whether picture and prompt agree.

    Where text is set, its letters are the picture's pieces, and they must be read as written.
    """
    rules = TEXT_RULES if asset.text_layers else RULES[asset.kind]
    return [rule for rule in rules if model.critic or rule.check is not Measure.AGREEMENT]


def _spec(asset: CompleteAsset, row: AxisRow) -> AssetSpec:
    """The seed follows from the plan's seed and the name alone, so neighbours never change it."""
    fields = {name: getattr(asset, name) for name in CompleteAsset.model_fields}
    seed = int(digest([asset.seed, asset.name])[:8], 16)
    request = {name: fields[name] for name in GenerationRequest.model_fields if name in fields}
    spec = {name: fields[name] for name in AssetSpec.model_fields if name in fields}
    if asset.background is not None:
        request |= {"init_image": asset.background.digest, "strength": 0}
    return AssetSpec(**spec, axes=row.axes, request=GenerationRequest(**request | {"seed": seed}))
