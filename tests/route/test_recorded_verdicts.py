"""Chances learned from our own models' verdicts foretell those they have not seen."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from app.route.success_model import Observation, SuccessModel, fit_success_model, reliability
from app.types import Kind

FAMILIES = ("object", "colour", "style")
MODELS = ("pruned", "pruned-slow", "hasty", "thinned", "whole")
IMAGES = 3
Verdicts = tuple[tuple[str, ...], tuple[str, ...]]
"""An asset's labels, and each model's verdicts as digits."""


def recorded() -> list[Verdicts]:
    lines = (Path(__file__).parent / "verdicts.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [
        (tuple(f"{f}={word}" for f, word in zip(FAMILIES, row, strict=False)), tuple(row[3:]))
        for row in rows
    ]


def seen(assets: Sequence[Verdicts]) -> Iterator[Observation]:
    """Each model asked until its first pass; and each one after those before it had failed."""
    for labels, verdicts in assets:
        before = ""
        for model, digits in zip(MODELS, verdicts, strict=True):
            for after in {"", before}:
                yield Observation(
                    model=model, kind=Kind.ICON, labels=labels, after=after,
                    tried=digits.find("1") + 1 or IMAGES,
                    passed=int("1" in digits),
                )  # fmt: skip
            before = "" if "1" in digits else model


def foretold(
    success_model: SuccessModel, assets: Sequence[Verdicts], images: int
) -> Iterator[tuple[float, bool]]:
    for labels, verdicts in assets:
        for model, digits in zip(MODELS, verdicts, strict=True):
            yield (
                success_model.posterior(model, Kind.ICON, labels).pass_probability(images),
                "1" in digits[:images],
            )


@pytest.mark.parametrize("seed", range(4))
def test_what_one_half_of_our_verdicts_says_holds_for_the_other(seed: int) -> None:
    assets = recorded()
    Random(seed).shuffle(assets)
    known, asked = assets[::2], assets[1::2]
    success_model = fit_success_model(seen(known))
    for images in (1, IMAGES):
        pairs = list(foretold(success_model, asked, images))
        assert len(pairs) == len(asked) * len(MODELS) == 1000
        result = reliability([chance for chance, _ in pairs], [passed for _, passed in pairs])
        assert result.ece <= 0.05


def test_our_verdicts_tell_the_models_apart() -> None:
    """A guess of the mean alone would be as true and worth nothing."""
    success_model = fit_success_model(seen(recorded()))
    book, key = (
        success_model.posterior(
            "pruned", Kind.ICON, (f"object={thing}", "colour=red", "style=flat")
        ).pass_probability(1)
        for thing in ("book", "key")
    )
    assert (book > 0.9, key < 0.1) == (True, True)
