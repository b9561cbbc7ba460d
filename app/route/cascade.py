"""The cascade: which models make an asset, one after the other, and why.

Pure: the same requirements, models and policy give the same cascade and the same explanation.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from app.route.success_model import Posterior, SuccessModel
from app.types import Digest, Kind, Value

BOUND_CONFIDENCE = 0.9
"""Posterior probability with which a cascade's lower bound of success must hold."""
MAX_LIGHT_ROUNDS = 2
"""Rounds at most with a lighter model before a heavier one takes over."""
MIN_ASSETS = 5
"""Decided assets below which nothing is known of a model."""
MAX_LISTED = 12
"""Cascades listed in an explanation at most."""


class AssetRequirements(Value):
    """What an asset requires of its cascade."""

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
        """Returns how many rounds of candidates fit into the attempts."""
        return -(-self.attempts // self.candidates)


class ModelOption(Value):
    """A model that may be used, with the current cost of an image; None: unknown."""

    name: str
    """The name in the plan."""
    model: str
    """The resolved reference."""
    seconds: float | None = None
    usd: float | None = None
    measured: str = ""
    """The source of the seconds."""
    latent_space: str = ""
    continues: bool = False
    """Whether it can start from another model's image."""


class Stage(Value):
    """One model's stage of a cascade."""

    name: str
    model: str
    images: Annotated[int, Field(ge=1)]
    strength: float | None = None
    """The share of its steps that it repeats on the best image of the stage before; None: it starts
    from noise."""
    after: str = ""
    """What failed before, on which its success probability depends: see `StageResult.after`."""

    def __str__(self) -> str:
        start = "" if self.strength is None else f" from the picture at {self.strength:g}"
        return f"{self.model}{start} x{self.images}"


class CascadePlan(Value):
    """One cascade with its numbers; `refused` says why it does not qualify."""

    rungs: tuple[Stage, ...]
    chance: float
    """Probability that the asset passes within its attempts."""
    least: float
    """Lower bound of that probability, as far as the data tell."""
    images: float
    """Expected number of images."""
    seconds: float | None
    """Expected, all stages together."""
    usd: float | None
    usd_per_accepted: float | None
    seconds_per_accepted: float | None
    refused: str = ""

    def __str__(self) -> str:
        return ", then ".join(map(str, self.rungs))


class Explanation(Value):
    """Why an asset takes its cascade."""

    policy: Digest | None
    arm: str
    """live or trial; builtin where no policy was learned yet."""
    wish: AssetRequirements
    options: tuple[ModelOption, ...]
    removed: dict[str, str]
    """Models that cannot or may not make the asset, and why."""
    ways: tuple[CascadePlan, ...]
    """The cascades that were compared, the chosen one first, the others from good to bad."""
    reason: str
    shadow: str = ""
    """What the trial policy would have chosen, where it did not decide."""

    @property
    def chosen(self) -> CascadePlan:
        """Returns the cascade that is taken."""
        return self.ways[0]


def choose_cascade(
    wish: AssetRequirements,
    options: Sequence[ModelOption],
    success_model: SuccessModel | None,
    *,
    policy: Digest | None = None,
    arm: str = "builtin",
    removed: Mapping[str, str] | None = None,
) -> Explanation:
    """Returns the cheapest cascade whose success is likely enough, with the reasons."""
    if success_model is None or not _has_data(success_model, wish, options):
        plans, reason = (
            [_default_cascade(wish, options)],
            "nothing was learned yet: from light to heavy",
        )
    else:
        weighed = [
            _evaluate(wish, stages, options, success_model) for stages in _cascades(wish, options)
        ]
        plans, reason = _ranked(wish, weighed)
    return Explanation(
        policy=policy,
        arm=arm,
        wish=wish,
        options=tuple(options),
        removed=dict(removed or {}),
        ways=tuple(plans[:MAX_LISTED]),
        reason=reason,
    )


def _has_data(
    success_model: SuccessModel, wish: AssetRequirements, options: Sequence[ModelOption]
) -> bool:
    beliefs = (success_model.posterior(option.model, wish.kind, wish.labels) for option in options)
    return any(posterior.assets >= MIN_ASSETS for posterior in beliefs)


def _cascades(
    wish: AssetRequirements, options: Sequence[ModelOption]
) -> Iterator[tuple[Stage, ...]]:
    """Yields each model alone and, with `cascade`, each lighter model before each heavier one."""
    for option in options:
        yield (_stage(option, wish.attempts),)
    pairs = ((a, b) for i, a in enumerate(options) for b in options[i + 1 :])
    for light, heavy in pairs if wish.cascade else ():
        for rounds in range(1, min(MAX_LIGHT_ROUNDS, wish.rounds - 1) + 1):
            first = rounds * wish.candidates
            rest = wish.attempts - first
            yield _stage(light, first), _stage(heavy, rest, after=light.model)
            if _can_continue(light, heavy):
                yield _stage(light, first), _next_stage(wish, light, heavy, rest)


def _can_continue(light: ModelOption, heavy: ModelOption) -> bool:
    return heavy.continues and bool(light.latent_space) and light.latent_space == heavy.latent_space


def _stage(
    option: ModelOption, images: int, *, after: str = "", strength: float | None = None
) -> Stage:
    return Stage(
        name=option.name, model=option.model, images=images, after=after, strength=strength
    )


def _default_cascade(wish: AssetRequirements, options: Sequence[ModelOption]) -> CascadePlan:
    """Returns a round for each model, the rest for the heaviest; else the heaviest alone."""
    tried = list(options) if wish.cascade else [options[-1]]
    tried = tried[-wish.rounds :]
    stages = [_stage(tried[0], wish.candidates)]
    for light, heavy in pairwise(tried):
        stages.append(_next_stage(wish, light, heavy, wish.candidates))
    rest = wish.attempts - sum(stage.images for stage in stages[:-1])
    stages[-1] = stages[-1].replace(images=rest)
    return CascadePlan(
        rungs=tuple(stages), chance=0, least=0, images=wish.candidates, seconds=None, usd=None,
        usd_per_accepted=None, seconds_per_accepted=None,
    )  # fmt: skip


def _next_stage(
    wish: AssetRequirements, light: ModelOption, heavy: ModelOption, images: int
) -> Stage:
    """Returns the heavier model's stage; it continues the image if both share a latent space."""
    if not _can_continue(light, heavy):
        return _stage(heavy, images, after=light.model)
    after = f"{light.model}~{wish.strength:g}"
    return _stage(heavy, images, after=after, strength=wish.strength)


def _evaluate(
    wish: AssetRequirements,
    stages: tuple[Stage, ...],
    options: Sequence[ModelOption],
    success_model: SuccessModel,
) -> CascadePlan:
    known = {option.name: option for option in options}
    reached, surely, images = 1.0, 1.0, 0.0
    seconds: float | None = 0.0
    usd: float | None = 0.0
    for stage in stages:
        posterior = success_model.posterior(stage.model, wish.kind, wish.labels, after=stage.after)
        expected = reached * _images(posterior, stage.images, wish.candidates)
        share = 1.0 if stage.strength is None else stage.strength
        images += expected
        seconds = _add_known(seconds, known[stage.name].seconds, expected * share)
        usd = _add_known(usd, known[stage.name].usd, expected * share)
        surely *= 1 - posterior.lower_bound(stage.images, BOUND_CONFIDENCE)
        reached *= 1 - posterior.pass_probability(stage.images)
    chance, least = 1 - reached, 1 - surely
    return CascadePlan(
        rungs=stages,
        chance=chance,
        least=least,
        images=images,
        seconds=seconds,
        usd=usd,
        usd_per_accepted=usd / chance if usd is not None and chance else None,
        seconds_per_accepted=seconds / chance if seconds is not None and chance else None,
        refused=_refusal(wish, least, seconds, usd),
    )


def _images(posterior: Posterior, images: int, at_once: int) -> float:
    """Returns the expected number of images until the first round in which one passes."""
    starts = range(0, images, at_once)
    return sum(
        min(at_once, images - start) * (1 - posterior.pass_probability(start) if start else 1.0)
        for start in starts
    )


def _add_known(total: float | None, each: float | None, number: float) -> float | None:
    return None if total is None or each is None else total + each * number


def _refusal(
    wish: AssetRequirements, least: float, seconds: float | None, usd: float | None
) -> str:
    if _exceeds(seconds, wish.seconds):
        problem = "its time is unknown" if seconds is None else f"takes {seconds:.3g} s"
        return f"{problem}, at most {wish.seconds:g} s are allowed"
    if _exceeds(usd, wish.usd):
        problem = "its cost is unknown" if usd is None else f"costs ${usd:.3g}"
        return f"{problem}, at most ${wish.usd:g} is allowed"
    if least < wish.confidence:
        return f"it passes with at least {least:.2f}, {wish.confidence:g} is required"
    return ""


def _exceeds(number: float | None, limit: float | None) -> bool:
    return limit is not None and (number is None or number > limit)


def _ranked(wish: AssetRequirements, plans: Sequence[CascadePlan]) -> tuple[list[CascadePlan], str]:
    """Returns the chosen cascade first, then the others from good to bad, and the reason."""
    fit = sorted((plan for plan in plans if not plan.refused), key=_cost_key)
    unfit = sorted((plan for plan in plans if plan.refused), key=lambda plan: -plan.least)
    if fit:
        price = f"the cheapest of {len(fit)} cascades that pass with at least {wish.confidence:g}"
        return [*fit, *unfit], price
    inside = [
        plan
        for plan in unfit
        if not _exceeds(plan.seconds, wish.seconds) and not _exceeds(plan.usd, wish.usd)
    ]
    best = (inside or unfit)[0]
    others = [plan for plan in unfit if plan is not best]
    reason = f"no cascade passes with at least {wish.confidence:g}: the likeliest is used"
    return [best, *others], reason


def _cost_key(plan: CascadePlan) -> tuple[float, float]:
    """Returns the cost of an accepted asset, then its time; infinity where unknown."""
    usd = plan.usd_per_accepted
    seconds = plan.seconds_per_accepted
    unknown = float("inf")
    return unknown if usd is None else usd, unknown if seconds is None else seconds
