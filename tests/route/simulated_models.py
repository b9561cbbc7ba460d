"""Simulated worlds: models whose true chances are known, and outcomes that nobody's asking changes.

Every number is a hash of the world's seed and of what it belongs to, so two routers that ask the
same model for the same image of the same asset see the same verdict, in whichever order they ask.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from math import exp
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from app.route.success_model import Observation
from app.types import Kind

FAMILIES: dict[str, int] = {"object": 14, "colour": 10, "style": 3}
"""Label families and their sizes; the k-th label of a family is 1/k as frequent as its first."""
WORDS = {"text": 0.1, "weapon": 0.3}
"""Labels that stand alone, and the share of assets that bear them."""
KINDS = (Kind.ICON, Kind.SPRITE)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A model: how good it is at the average asset (a logit), and what an image takes."""

    reference: str
    logit: float
    usd: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SimulatedAsset:
    """One asset of a plan."""

    index: int
    kind: Kind
    labels: tuple[str, ...]


SIMULATED_MODELS = (
    SimulatedModel("light/1", logit=0.0, usd=0.001, seconds=0.2),
    SimulatedModel("middle/1", logit=0.8, usd=0.004, seconds=1.0),
    SimulatedModel("heavy/1", logit=2.2, usd=0.02, seconds=4.0),
)


@dataclass(frozen=True, slots=True)
class World:
    """Models with additive effects on the logit, and assets that differ in difficulty.

    `shared` is the correlation of an asset's difficulty, and of the labels' effects, between
    models; `difficulty` and `effect` are their standard deviations on the logit.
    """

    seed: int
    painters: tuple[SimulatedModel, ...] = SIMULATED_MODELS
    shared: float = 0.6
    difficulty: float = 1.0
    effect: float = 0.7

    def assets(self, count: int, *, start: int = 0) -> list[SimulatedAsset]:
        """Assets `start` and onwards; the same ones in whatever portions they are asked for."""
        return [self._asset(index) for index in range(start, start + count)]

    def logit(self, asset: SimulatedAsset, renderer: SimulatedModel) -> float:
        """The true logit of the asset's sort, before the difficulty of this very asset."""
        return renderer.logit + sum(
            self.effect * self._both("effect", label, renderer) for label in self._traits(asset)
        )

    def chance(self, asset: SimulatedAsset, renderer: SimulatedModel) -> float:
        """The true chance of every image of this asset with this model."""
        hard = self.difficulty * self._both("difficulty", str(asset.index), renderer)
        return 1 / (1 + exp(-self.logit(asset, renderer) - hard))

    def passes(self, asset: SimulatedAsset, renderer: SimulatedModel, image: int) -> bool:
        """What the checks say of the asset's n-th image with this model."""
        return self._draw(asset, renderer, image) < self.chance(asset, renderer)

    def sort_passes(
        self,
        asset: SimulatedAsset,
        renderer: SimulatedModel,
        images: int,
        *,
        after: SimulatedModel | None = None,
        failed: int = 0,
    ) -> float:
        """The true share of assets of this one's sort of which at least one image passes.

        With `after`, of those of which so many images of that other model failed.
        """
        weights = _WEIGHTS if after is None else _WEIGHTS * self._fails(asset, after, failed)
        return float(1 - self._fails(asset, renderer, images) @ weights / weights.sum())

    def _fails(
        self, asset: SimulatedAsset, renderer: SimulatedModel, images: int
    ) -> NDArray[np.float64]:
        """P(every image fails) at each node of the difficulty that models share."""
        own = self.difficulty * (1 - self.shared) ** 0.5 * _NODES
        common = self.difficulty * self.shared**0.5 * _NODES
        logits = self.logit(asset, renderer) + common[:, None] + own
        failing: NDArray[np.float64] = (1 + np.exp(logits)) ** -float(images)
        return failing @ _WEIGHTS / _WEIGHTS.sum()

    def seen(
        self,
        asset: SimulatedAsset,
        renderer: SimulatedModel,
        images: int,
        *,
        after: str = "",
        rounds_of: int = 1,
    ) -> Observation:
        """The asset asked for up to so many images, in rounds, until a round has a pass."""
        tried, passed, chance = 0, 0, self.chance(asset, renderer)
        while tried < images and not passed:
            made = range(tried, min(tried + rounds_of, images))
            passed = sum(self._draw(asset, renderer, image) < chance for image in made)
            tried = made.stop
        return Observation(
            model=renderer.reference,
            kind=asset.kind,
            labels=asset.labels,
            after=after,
            tried=tried,
            passed=passed,
        )

    def history(self, assets: Sequence[SimulatedAsset], images: int) -> Iterator[Observation]:
        """Every model asked first of every asset, and every later one after an earlier one."""
        for asset in assets:
            for at, renderer in enumerate(self.painters):
                first = self.seen(asset, renderer, images)
                yield first
                for later in self.painters[at + 1 :] if not first.passed else ():
                    yield self.seen(asset, later, images, after=renderer.reference)

    def _draw(self, asset: SimulatedAsset, renderer: SimulatedModel, image: int) -> float:
        return self._uniform("image", renderer.reference, asset.index, image)

    def _asset(self, index: int) -> SimulatedAsset:
        labels = [self._one_of(family, size, index) for family, size in FAMILIES.items()]
        labels += [
            word for word, share in WORDS.items() if self._uniform("word", word, index) < share
        ]
        kind = KINDS[int(self._uniform("kind", index) * len(KINDS))]
        return SimulatedAsset(index, kind, tuple(sorted(labels)))

    def _one_of(self, family: str, size: int, index: int) -> str:
        weights = [1 / (at + 1) for at in range(size)]
        draw = self._uniform("label", family, index) * sum(weights)
        return f"{family}={bisect(list(accumulate(weights))[:-1], draw)}"

    def _traits(self, asset: SimulatedAsset) -> tuple[str, ...]:
        return (f"kind {asset.kind}", *asset.labels)

    def _both(self, what: str, whose: str, renderer: SimulatedModel) -> float:
        """A standard normal that correlates by `shared` with the other models' one."""
        common = self._normal(what, whose)
        own = self._normal(what, whose, renderer.reference)
        return float(self.shared**0.5 * common + (1 - self.shared) ** 0.5 * own)

    def _normal(self, *what: str | int) -> float:
        return _normal(self.seed, *what)

    def _uniform(self, *what: str | int) -> float:
        return _uniform(self.seed, *what)


@lru_cache(maxsize=10_000)
def _normal(*what: str | int) -> float:
    return NormalDist().inv_cdf(_uniform(*what))


def _uniform(*what: str | int) -> float:
    """Between 0 and 1, both excluded."""
    hashed = blake2b(repr(what).encode(), digest_size=6).digest()
    return (int.from_bytes(hashed) + 0.5) / 256**6
