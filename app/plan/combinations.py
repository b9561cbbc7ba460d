"""Combinations: the rows of one asset's axes, in order, and their number without making them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from app.plan.schema import PlanAsset
from app.plan.templates import slug

Box: TypeAlias = frozenset[tuple[str, frozenset[str]]]
"""An exclusion: for each axis it names, the values it matches."""


class Row(NamedTuple):
    """One combination: its name, and the value of each axis, axes sorted by name."""

    name: str
    axes: dict[str, str]


def sorted_axes(asset: PlanAsset) -> list[tuple[str, tuple[str, ...]]]:
    """The axes by name, so that the order of keys in the file means nothing; each value once."""
    return [(axis, tuple(dict.fromkeys(asset.axes[axis]))) for axis in sorted(asset.axes)]


def rows(asset: PlanAsset) -> Iterator[Row]:
    """The combinations that are not excluded; the last axis turns fastest, as an odometer."""
    axes = sorted_axes(asset)
    for combination in product(*(values for _, values in axes)):
        chosen = dict(zip((axis for axis, _ in axes), combination, strict=True))
        if not any(_matches(entry, chosen) for entry in asset.exclude):
            yield Row(".".join([asset.name, *map(slug, combination)]), chosen)


def size(asset: PlanAsset) -> int:
    """The number of combinations before exclusion."""
    return prod(len(values) for _, values in sorted_axes(asset))


def remaining(asset: PlanAsset) -> int:
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
