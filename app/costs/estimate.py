"""Estimates: time and cost of assets, with error bands, from earlier attempts of the models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose, sqrt
from statistics import fmean, variance

from app.fleet.prices import Price, PriceSheet
from app.generate.terms import MIN_SAMPLES
from app.route.by_name import route_by_name
from app.store.catalog import Catalog
from app.types import AssetSpec, ModelVersion, Route, Status, Value

SAMPLE = 200
"""Latest assets of a model that are examined for how many attempts they took."""
DEVIATIONS = 1.96
"""Standard deviations on either side that hold 95% of a normal distribution."""


class Band(Value):
    """An expected value, with the ends between which it should lie in 95% of cases."""

    low: float
    expected: float
    high: float

    def __contains__(self, number: float) -> bool:
        on_an_end = any(isclose(number, end, rel_tol=1e-6) for end in (self.low, self.high))
        return self.low <= number <= self.high or on_an_end


class Estimate(Value):
    """Images, seconds of one worker and money until every asset is decided."""

    images: Band
    seconds: Band
    cost_usd: Band
    basis: tuple[str, ...]
    """By model, where the numbers come from."""


class Estimator:
    """Adds up an estimate asset by asset; reads a model's history once, at its first asset.

    Its memory does not grow with the number of assets.
    """

    def __init__(
        self, models: Mapping[str, ModelVersion], catalog: Catalog, prices: PriceSheet
    ) -> None:
        self._models, self._catalog, self._prices = models, catalog, prices
        self._asked: dict[str, _ModelEstimate] = {}
        self._expected = _CascadeEstimate()

    def expect(self, images: float, seconds: float | None, usd: float | None) -> None:
        """Adds an asset with the expected values of its cascade; None: unknown."""
        self._expected.add(images, seconds, usd)

    def add_all(self, specs: Iterable[AssetSpec]) -> None:
        """Adds assets that are to be made; raises as `route_by_name` does."""
        for spec in specs:
            if spec.model not in self._asked:
                route = route_by_name(spec, self._models)
                price = self._prices.price(route.model, route.backend)
                self._asked[spec.model] = _ModelEstimate(_pace(route, self._catalog), price)
            self._asked[spec.model].add(spec)

    def estimate(self) -> Estimate | None:
        """Returns the estimate; None when a model's time is unknown, or nothing was added."""
        parts = [model_estimate.parts() for model_estimate in self._asked.values()]
        parts += [self._expected.parts()] if self._expected.assets else []
        if not parts or any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        return Estimate(
            images=_sum([part.images for part in known]),
            seconds=_sum([part.seconds for part in known]),
            cost_usd=_sum([part.cost_usd for part in known]),
            basis=(
                *(model_estimate.pace.basis for model_estimate in self._asked.values()),
                *self._expected.basis,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Sample:
    """A mean, the variance of single values, and their number."""

    mean: float
    variance: float
    size: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "_Sample | None":
        if len(numbers) < MIN_SAMPLES:
            return None
        return cls(fmean(numbers), variance(numbers), len(numbers))

    @property
    def doubt(self) -> float:
        """Returns the relative variance of the mean itself: a short history is uncertain."""
        return self.variance / self.size / self.mean**2 if self.mean else 0.0


@dataclass(frozen=True, slots=True)
class _ModelHistory:
    """What is known of a model: seconds per image, and rounds of candidates per asset."""

    seconds: _Sample | None
    rounds: _Sample | None
    gpu: bool
    basis: str


@dataclass(frozen=True, slots=True)
class _Bands:
    images: Band
    seconds: Band
    cost_usd: Band


class _ModelEstimate:
    """All assets of one model."""

    def __init__(self, pace: _ModelHistory, price: Price) -> None:
        self.pace, self._price = pace, price
        self._first = self._squares = self._most = 0

    def add(self, spec: AssetSpec) -> None:
        self._first += spec.candidates
        self._squares += spec.candidates**2
        self._most += spec.attempts

    def parts(self) -> _Bands | None:
        seconds, rounds = self.pace.seconds, self.pace.rounds
        if seconds is None:
            return None
        images = self._bounds() if rounds is None else self._likely(rounds)
        spread = self._squares * (rounds.variance if rounds else 0) * seconds.mean**2
        spread += images.expected * seconds.variance
        work = images.expected * seconds.mean
        doubt = work**2 * (seconds.doubt + (rounds.doubt if rounds else 0))
        within = DEVIATIONS * sqrt(spread + doubt)
        ends = (work, work) if rounds else (self._first * seconds.mean, self._most * seconds.mean)
        time = Band(low=max(ends[0] - within, 0), expected=work, high=ends[1] + within)
        return _Bands(images, time, self._cost(images, time))

    def _bounds(self) -> Band:
        """Returns the band from first candidates to last attempts, as rejections are unknown."""
        return Band(low=self._first, expected=self._first, high=self._most)

    def _likely(self, rounds: _Sample) -> Band:
        expected = self._first * rounds.mean
        spread = self._squares * rounds.variance + expected**2 * rounds.doubt
        within = DEVIATIONS * sqrt(spread)
        return Band(low=max(expected - within, 0), expected=expected, high=expected + within)

    def _cost(self, images: Band, time: Band) -> Band:
        price, gpu = self._price, self.pace.gpu
        ends = (
            images_end * price.call + price.replace(call=0).attempt_usd(seconds, gpu=gpu)
            for images_end, seconds in (
                (images.low, time.low),
                (images.expected, time.expected),
                (images.high, time.high),
            )
        )
        low, expected, high = ends
        return Band(low=low, expected=expected, high=high)


class _CascadeEstimate:
    """Assets with the expected values of their cascades; single ones are spread exponentially."""

    def __init__(self) -> None:
        self.assets = 0
        self._sums = {"images": 0.0, "seconds": 0.0, "usd": 0.0}
        self._squares = dict(self._sums)
        self._known = True

    @property
    def basis(self) -> tuple[str, ...]:
        return (f"{self.assets} assets by their chosen cascades",) if self.assets else ()

    def add(self, images: float, seconds: float | None, usd: float | None) -> None:
        self.assets += 1
        self._known &= seconds is not None and usd is not None
        for name, number in (("images", images), ("seconds", seconds), ("usd", usd)):
            self._sums[name] += number or 0.0
            self._squares[name] += (number or 0.0) ** 2

    def parts(self) -> _Bands | None:
        if not self._known:
            return None
        return _Bands(self._band("images"), self._band("seconds"), self._band("usd"))

    def _band(self, name: str) -> Band:
        expected, within = self._sums[name], DEVIATIONS * sqrt(self._squares[name])
        return Band(low=max(expected - within, 0.0), expected=expected, high=expected + within)


def _pace(route: Route, catalog: Catalog) -> _ModelHistory:
    model = route.model
    tried = catalog.attempt_times(model.reference)
    decided = catalog.find_assets(model=model.reference, limit=SAMPLE)
    rounds = _Sample.of(
        [
            record.attempts / record.spec.candidates
            for record in decided
            if record.status is not Status.FAILED
        ]
    )
    seconds = _Sample.of([attempt.seconds for attempt in tried])
    basis = f"{model.reference}: the last {len(tried)} images"
    if seconds is None and model.seconds_per_image is not None:
        seconds = _Sample(model.seconds_per_image, 0.0, 1)
        basis = f"{model.reference}: seconds as its version declares them"
    if rounds is None:
        basis += ", first candidates to last attempts, because few assets are decided yet"
    else:
        basis += f" and {rounds.size} decided assets"
    gpu = bool(tried) and tried[0].gpu
    return _ModelHistory(seconds, rounds, gpu, basis)


def _sum(bands: Sequence[Band]) -> Band:
    """Adds bands of different models: deviations are independent, so their squares add."""
    expected = sum(band.expected for band in bands)
    below = sqrt(sum((band.expected - band.low) ** 2 for band in bands))
    above = sqrt(sum((band.high - band.expected) ** 2 for band in bands))
    return Band(low=expected - below, expected=expected, high=expected + above)
