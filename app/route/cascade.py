"""The ladder: which models an asset is asked of, one after the other, and why that way.

Pure: the same wish, models and policy give the same way and the same explanation.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from app.route.success_model import Belief, Chances
from app.types import Digest, Kind, Value

SURENESS = 0.9
"""How sure the lower bound of a chance must be before a way counts as likely enough."""
LIGHT_ROUNDS = 2
"""A lighter model gets so many rounds at most before a heavier one takes over."""
FEWEST = 5
"""Decided assets below which nothing is known of a model."""
TOLD = 12
"""Ways that an explanation tells of."""


class Wish(Value):
    """What an asset asks of its way."""

    kind: Kind
    labels: tuple[str, ...]
    candidates: Annotated[int, Field(ge=1)]
    """Images made at once in each round."""
    attempts: Annotated[int, Field(ge=1)]
    """Images at most, over all rounds."""
    confidence: float
    cascade: bool
    strength: float
    seconds: float | None = None
    usd: float | None = None

    @property
    def rounds(self) -> int:
        """How often images can be asked for."""
        return -(-self.attempts // self.candidates)


class Option(Value):
    """A model that may be asked, and what an image of it takes now; None: nobody knows."""

    name: str
    """As the plan writes it."""
    model: str
    """The resolved reference."""
    seconds: float | None = None
    usd: float | None = None
    measured: str = ""
    """Where the seconds come from."""
    latent_space: str = ""
    continues: bool = False
    """Whether it can start from another model's picture."""


class Rung(Value):
    """One model's turn."""

    name: str
    model: str
    images: Annotated[int, Field(ge=1)]
    strength: float | None = None
    """How much of its steps it repeats on the best picture of the rung before; None: all, anew."""
    after: str = ""
    """Under which circumstances its chance is known: see `Turn.after`."""

    def __str__(self) -> str:
        start = "" if self.strength is None else f" from the picture at {self.strength:g}"
        return f"{self.model}{start} x{self.images}"


class Way(Value):
    """One ladder with its numbers; `refused` says what speaks against it."""

    rungs: tuple[Rung, ...]
    chance: float
    """Of the asset's passing within its attempts."""
    least: float
    """What the chance is at least, as far as the data tell."""
    images: float
    """Expected."""
    seconds: float | None
    """Expected, all rungs together."""
    usd: float | None
    usd_per_accepted: float | None
    seconds_per_accepted: float | None
    refused: str = ""

    def __str__(self) -> str:
        return ", then ".join(map(str, self.rungs))


class Explanation(Value):
    """Why an asset goes the way it goes."""

    policy: Digest | None
    arm: str
    """live or trial; builtin where nothing was ever learned."""
    wish: Wish
    options: tuple[Option, ...]
    removed: dict[str, str]
    """Models that cannot or may not make the asset, and why."""
    ways: tuple[Way, ...]
    """The ways that were weighed, from good to bad, the chosen one first."""
    reason: str
    shadow: str = ""
    """What the policy on trial would have chosen, where it was only asked."""

    @property
    def chosen(self) -> Way:
        """The way that is taken."""
        return self.ways[0]


def choose(
    wish: Wish,
    options: Sequence[Option],
    chances: Chances | None,
    *,
    policy: Digest | None = None,
    arm: str = "builtin",
    removed: Mapping[str, str] | None = None,
) -> Explanation:
    """The cheapest way whose chance is surely enough, of all ways through these models.

    `options` stand from light to heavy and must not be empty. Where nothing is measured they are
    tried in that order; where no way is likely enough, the likeliest is taken. What an accepted
    asset costs decides; where everything is free, how long it takes.
    """
    if chances is None or not _knows(chances, wish, options):
        ways, reason = [_untold(wish, options)], "nothing was learned yet: from light to heavy"
    else:
        weighed = [_weighed(wish, rungs, options, chances) for rungs in _ladders(wish, options)]
        ways, reason = _ranked(wish, weighed)
    return Explanation(
        policy=policy,
        arm=arm,
        wish=wish,
        options=tuple(options),
        removed=dict(removed or {}),
        ways=tuple(ways[:TOLD]),
        reason=reason,
    )


def _knows(chances: Chances, wish: Wish, options: Sequence[Option]) -> bool:
    beliefs = (chances.of(option.model, wish.kind, wish.labels) for option in options)
    return any(belief.assets >= FEWEST for belief in beliefs)


def _ladders(wish: Wish, options: Sequence[Option]) -> Iterator[tuple[Rung, ...]]:
    """Each model alone; and with a cascade each lighter one before each heavier one."""
    for option in options:
        yield (_rung(option, wish.attempts),)
    pairs = ((a, b) for i, a in enumerate(options) for b in options[i + 1 :])
    for light, heavy in pairs if wish.cascade else ():
        for rounds in range(1, min(LIGHT_ROUNDS, wish.rounds - 1) + 1):
            first = rounds * wish.candidates
            rest = wish.attempts - first
            yield _rung(light, first), _rung(heavy, rest, after=light.model)
            if _goes_on(light, heavy):
                yield _rung(light, first), _following(wish, light, heavy, rest)


def _goes_on(light: Option, heavy: Option) -> bool:
    return heavy.continues and bool(light.latent_space) and light.latent_space == heavy.latent_space


def _rung(option: Option, images: int, *, after: str = "", strength: float | None = None) -> Rung:
    return Rung(name=option.name, model=option.model, images=images, after=after, strength=strength)


def _untold(wish: Wish, options: Sequence[Option]) -> Way:
    """A round for each model, the heaviest gets the rest; without a cascade the heaviest alone."""
    tried = list(options) if wish.cascade else [options[-1]]
    tried = tried[-wish.rounds :]
    rungs = [_rung(tried[0], wish.candidates)]
    for light, heavy in pairwise(tried):
        rungs.append(_following(wish, light, heavy, wish.candidates))
    rest = wish.attempts - sum(rung.images for rung in rungs[:-1])
    rungs[-1] = rungs[-1].replace(images=rest)
    return Way(
        rungs=tuple(rungs), chance=0, least=0, images=wish.candidates, seconds=None, usd=None,
        usd_per_accepted=None, seconds_per_accepted=None,
    )  # fmt: skip


def _following(wish: Wish, light: Option, heavy: Option, images: int) -> Rung:
    """The heavier model's turn: from the picture there is, where both share the latent space."""
    if not _goes_on(light, heavy):
        return _rung(heavy, images, after=light.model)
    after = f"{light.model}~{wish.strength:g}"
    return _rung(heavy, images, after=after, strength=wish.strength)


def _weighed(
    wish: Wish, rungs: tuple[Rung, ...], options: Sequence[Option], chances: Chances
) -> Way:
    known = {option.name: option for option in options}
    reached, surely, images = 1.0, 1.0, 0.0
    seconds: float | None = 0.0
    usd: float | None = 0.0
    for rung in rungs:
        belief = chances.of(rung.model, wish.kind, wish.labels, after=rung.after)
        expected = reached * _images(belief, rung.images, wish.candidates)
        share = 1.0 if rung.strength is None else rung.strength
        images += expected
        seconds = _plus(seconds, known[rung.name].seconds, expected * share)
        usd = _plus(usd, known[rung.name].usd, expected * share)
        surely *= 1 - belief.least(rung.images, SURENESS)
        reached *= 1 - belief.passes(rung.images)
    chance, least = 1 - reached, 1 - surely
    return Way(
        rungs=rungs,
        chance=chance,
        least=least,
        images=images,
        seconds=seconds,
        usd=usd,
        usd_per_accepted=usd / chance if usd is not None and chance else None,
        seconds_per_accepted=seconds / chance if seconds is not None and chance else None,
        refused=_against(wish, least, seconds, usd),
    )


def _images(belief: Belief, images: int, at_once: int) -> float:
    """Expected until the first round with one that passes."""
    starts = range(0, images, at_once)
    return sum(
        min(at_once, images - start) * (1 - belief.passes(start) if start else 1.0)
        for start in starts
    )


def _plus(total: float | None, each: float | None, number: float) -> float | None:
    return None if total is None or each is None else total + each * number


def _against(wish: Wish, least: float, seconds: float | None, usd: float | None) -> str:
    if _beyond(seconds, wish.seconds):
        told = "nobody knows how long it takes" if seconds is None else f"takes {seconds:.3g} s"
        return f"{told}, within {wish.seconds:g} s is asked"
    if _beyond(usd, wish.usd):
        told = "nobody knows what it costs" if usd is None else f"costs ${usd:.3g}"
        return f"{told}, ${wish.usd:g} at most is asked"
    if least < wish.confidence:
        return f"its chance is surely {least:.2f} only, {wish.confidence:g} is asked"
    return ""


def _beyond(number: float | None, limit: float | None) -> bool:
    return limit is not None and (number is None or number > limit)


def _ranked(wish: Wish, ways: Sequence[Way]) -> tuple[list[Way], str]:
    """The chosen way first, the others from good to bad."""
    fit = sorted((way for way in ways if not way.refused), key=_price)
    unfit = sorted((way for way in ways if way.refused), key=lambda way: -way.least)
    if fit:
        price = f"the cheapest of {len(fit)} ways that surely pass at {wish.confidence:g}"
        return [*fit, *unfit], price
    inside = [
        way
        for way in unfit
        if not _beyond(way.seconds, wish.seconds) and not _beyond(way.usd, wish.usd)
    ]
    best = (inside or unfit)[0]
    others = [way for way in unfit if way is not best]
    return [best, *others], f"no way surely passes at {wish.confidence:g}: the likeliest is taken"


def _price(way: Way) -> tuple[float, float]:
    """What an accepted asset costs; where that is nothing, or unknown, how long it takes."""
    usd = way.usd_per_accepted
    seconds = way.seconds_per_accepted
    unknown = float("inf")
    return unknown if usd is None else usd, unknown if seconds is None else seconds
