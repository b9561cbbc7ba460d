"""Plan validation: faults between assets, in their number, and in how they are packed."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from app.plan.expand import AxisRow, axis_rows, combination_count, distinct, fill_row, row_count
from app.plan.inherit import CompleteAsset
from app.plan.recover import RecoveredPlan
from app.plan.schema import AUTO
from app.plan.validate_asset import AssetView
from app.plan.yaml_document import Path, PlanFault
from app.types import Kind, Size

LARGE = 10_000
"""More combinations than this in one asset need --allow-large."""
_PACKED = frozenset({Kind.ICON, Kind.SPRITE})


def plan_faults(
    views: Sequence[AssetView], written: RecoveredPlan, *, allow_large: bool
) -> Iterator[PlanFault]:
    """Yields every fault between assets."""
    large = [view for view in views if view.countable and combination_count(view.asset) > LARGE]
    if large and not allow_large:
        yield from map(_large, large)
        return
    yield from _too_many(views, written)
    for _, family in groupby(sorted(views, key=_name), key=_name):
        yield from _duplicates(list(family))


def budget_faults(written: RecoveredPlan) -> Iterator[PlanFault]:
    """Yields faults of the budget: draft model missing or unused, too much reserved for drafts."""
    budget = written.plan.budget
    if budget is None or not written.valid("budget"):
        return
    model, drafts = budget.draft_model, budget.at_cap == "draft"
    if drafts and model is None:
        remedy = "add draft_model: with the model that takes over, or write at_cap: stop"
        yield PlanFault(("budget", "at_cap"), "needs a draft model, and none is named", remedy)
    if not drafts and (model is not None or budget.draft_usd):
        key = "draft_model" if model is not None else "draft_usd"
        remedy = f"write at_cap: draft, or remove {key}"
        yield PlanFault(("budget", key), "is never used: the plan stops at its budget", remedy)
    if drafts and budget.draft_usd > budget.usd:
        message = f"reserves more for drafts than the budget of {budget.usd:g} holds"
        yield PlanFault(("budget", "draft_usd"), message, f"write at most {budget.usd:g}")


def route_faults(written: RecoveredPlan) -> Iterator[PlanFault]:
    """Yields faults of the route: a choice without models, models without a choice, repeats."""
    plan = written.plan
    if not written.valid("route") or not written.valid("model"):
        return
    left_open: list[Path] = [
        ("assets", at, "model") for at, asset in enumerate(plan.assets) if asset.model == AUTO
    ]
    inherits = any(asset.model is None for asset in plan.assets)
    left_open += [("model",)] if plan.model == AUTO and inherits else []
    if left_open and plan.route is None:
        message = f"is {AUTO}, and no models are named to choose from"
        remedy = "add route: {models: [starter]} with the models to choose from, light to heavy"
        yield PlanFault(left_open[0], message, remedy)
    if plan.route is None:
        return
    if not left_open:
        remedy = f"write model: {AUTO} at the top of the plan or in an asset, or remove route"
        yield PlanFault(("route",), "is never used: every asset names its model", remedy)
    seen: set[str] = set()
    for at, model in enumerate(plan.route.models):
        if model == AUTO or model in seen:
            message = "is not a model" if model == AUTO else "is named twice"
            yield PlanFault(("route", "models", at), message, "write each model once, by its name")
        seen.add(model)


def pack_faults(views: Sequence[AssetView], written: RecoveredPlan) -> Iterator[PlanFault]:
    """Yields faults of packing: sizes that no asset has, and sizes that fit on no page."""
    if not written.valid("pack"):
        return
    for view in views:
        if view.all_valid("sizes", "kind") and view.complete.kind in _PACKED:
            yield from _off_page(view)
    finished = {size for view in views for size in view.complete.sizes}
    if all(view.all_valid("sizes") for view in views):
        yield from _never_finished(written, finished)


def _name(view: AssetView) -> str:
    return view.asset.name


def _large(view: AssetView) -> PlanFault:
    message = f"multiply to {combination_count(view.asset)} combinations, beyond {LARGE}"
    remedy = "write fewer values, or allow it with --allow-large"
    return PlanFault(view.own("axes"), message, remedy)


def _too_many(views: Sequence[AssetView], written: RecoveredPlan) -> Iterator[PlanFault]:
    if not written.valid("max_assets") or not all(view.countable for view in views):
        return
    allowed = written.plan.max_assets
    families = groupby(sorted(views, key=_name), key=_name)
    asked = sum(_number(list(family), allowed) for _, family in families)
    if asked > allowed:
        stated = ("max_assets",) if ("max_assets",) in written.document.places else ("assets",)
        yield PlanFault(
            ("max_assets",),
            f"is less than the {asked} assets of the plan",
            f"write max_assets: {asked} at the top of the plan, or remove assets",
            value=str(allowed),
            place=written.document.place(stated),
        )


def _number(family: Sequence[AssetView], allowed: int) -> int:
    """Returns the number of assets; for large numbers the sum, without comparing names."""
    assets = [view.asset for view in family]
    each = [row_count(asset) for asset in assets]
    return sum(each) if max(each) > allowed else distinct(assets)


def _duplicates(family: Sequence[AssetView]) -> Iterator[PlanFault]:
    """Yields one fault per asset that uses a name for something else than an earlier one."""
    first: dict[str, tuple[AssetView, CompleteAsset, AxisRow]] = {}
    for view in family if len(family) > 1 and all(map(_comparable, family)) else ():
        for row in axis_rows(view.asset):
            asked = fill_row(view.complete, row)
            other, before, its_row = first.setdefault(row.name, (view, asked, row))
            if (asked, row.axes) != (before, its_row.axes):
                line = view.recovered.document.place(other.own("name")).line
                message = f"makes a duplicate name: {row.name} is something else on line {line}"
                remedy = "give one of them another name, or remove it"
                yield PlanFault(view.own("name"), message, remedy)
                break


def _comparable(view: AssetView) -> bool:
    fields = [*type(view.asset).model_fields, "kind", "prompt", "sizes"]
    few = view.countable and row_count(view.asset) <= view.plan.max_assets
    return few and view.all_valid(*fields) and not view.unknown_variables


def _off_page(view: AssetView) -> Iterator[PlanFault]:
    pack = view.plan.pack
    side = pack.max_page_size
    side = 1 << side.bit_length() - 1 if pack.power_of_two else side
    room = side - 2 * pack.extrude
    for wanted in view.complete.sizes:
        packed = pack.sizes is None or wanted in pack.sizes
        if packed and max(wanted.width, wanted.height) > room:
            message = f"{wanted} fits on no atlas page, which have room for {room} pixels"
            remedy = "raise pack.max_page_size, or name the sizes to pack in pack.sizes"
            yield PlanFault(view.source("sizes"), message, remedy)


def _never_finished(written: RecoveredPlan, finished: set[Size]) -> Iterator[PlanFault]:
    for index, wanted in enumerate(written.plan.pack.sizes or ()):
        if wanted not in finished:
            known = ", ".join(sorted(map(str, finished)))
            message = "is not a size of any asset"
            yield PlanFault(("pack", "sizes", index), message, f"use one of {known}")
