"""Judges a sample of the defect world by its kind's own rules and by stricter limits."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.check.duplicates import KnownImage, Neighbours, fingerprint
from app.check.integrity import decode_or_none
from app.check.judge import judge
from app.check.limits import LIMITS, REFERENCE_LIMITS, TEXT_LIMITS
from app.check.scores import Critic, score_image
from app.plan.schema import RULES, TEXT_RULES
from app.types import GenerationRequest, Measure, Rule
from jobs.train.defects.sources import GUIDANCE, STEPS, Source
from jobs.train.defects.world import WorldSample

_ALONE = 64.0
"""The duplicate distance where there is no neighbour."""
_WITH_CRITIC = (Source.DRAWN, Source.STARTER)


@dataclass(frozen=True, slots=True)
class JudgedSample:
    """The scores of a sample, and the measures that broke a rule, for each set of rules."""

    scores: dict[Measure, float]
    by_rules: frozenset[Measure]
    by_limits: frozenset[Measure]
    by_reference: frozenset[Measure] | None
    """As `by_limits`, with the reference limits added; None where there is no reference."""


class SampleJudge:
    """Judges samples by the rules that plans start from, and by the recommended limits."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._seen: dict[str, Neighbours] = {}

    def judge(self, made: WorldSample) -> JudgedSample:
        """Returns the scores of a sample and the measures that broke a rule.

        A control is also compared with earlier controls of its source that show other things.
        """
        scores = self._scores(made)
        rules = _rules(made)
        limits = merge_rules_for(rules, TEXT_LIMITS if made.good.layers else LIMITS[made.good.kind])
        broken = self._broken(scores, limits)
        beside = None
        if made.reference and Measure.LIKENESS in scores:
            measured = [rule for rule in REFERENCE_LIMITS if rule.check in scores]
            beside = broken | self._broken(scores, measured)
        return JudgedSample(scores, self._broken(scores, rules), broken, beside)

    def _broken(self, scores: dict[Measure, float], rules: Iterable[Rule]) -> frozenset[Measure]:
        return frozenset(finding.check for finding in judge(scores, tuple(rules)).findings)

    def _scores(self, made: WorldSample) -> dict[Measure, float]:
        pixels = decode_or_none(made.spoilt.data)
        critic = self._critic if made.good.source in _WITH_CRITIC else None
        reference = made.good.pixels if made.reference else None
        scores = score_image(
            pixels, claimed_request(made), critic, prompt=made.spoilt.prompt, reference=reference
        )
        if pixels is None:
            return scores
        scores[Measure.DUPLICATE_DISTANCE] = self._distance(made, fingerprint(pixels))
        return scores

    def _distance(self, made: WorldSample, mine: int) -> float:
        if made.spoilt.twin is not None:
            nearest = Neighbours([KnownImage(fingerprint(made.spoilt.twin), "twin")]).nearest(mine)
        elif made.sample.severity:
            return _ALONE
        else:  # an image with the same prompt is no duplicate
            seen = self._seen.setdefault(made.sample.source, Neighbours())
            nearest = seen.nearest(mine, exclude=made.good.prompt)
            seen.add(mine, made.good.prompt)
        return nearest[0] if nearest else _ALONE


def claimed_request(made: WorldSample) -> GenerationRequest:
    """Returns the request that the sample claims to answer."""
    return GenerationRequest(
        prompt=made.spoilt.prompt,
        width=made.sample.width,
        height=made.sample.height,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        text_layers=made.spoilt.layers,
    )


def merge_rules_for(rules: Iterable[Rule], others: Iterable[Rule]) -> tuple[Rule, ...]:
    """Returns the rules, with each of `others` in place of the rule for the same measure."""
    return tuple(({rule.check: rule for rule in rules} | {r.check: r for r in others}).values())


def _rules(made: WorldSample) -> list[Rule]:
    """Returns the rules that a plan starts from, for the sample's kind.

    Images with text have rules of their own; without a critic there is no rule for agreement.
    """
    rules = TEXT_RULES if made.good.layers else RULES[made.good.kind]
    knows = made.good.source in _WITH_CRITIC
    return [rule for rule in rules if knows or rule.check is not Measure.AGREEMENT]
