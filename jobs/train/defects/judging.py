"""Judges a sample of the defect world by the rules of its kind and by stricter limits."""

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

_NO_NEIGHBOUR = 64.0
"""The duplicate distance where there is no other image."""
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
    """Judges samples by the default rules of plans, and by the recommended limits."""

    def __init__(self, critic: Critic) -> None:
        self._critic = critic
        self._controls: dict[str, Neighbours] = {}

    def judge(self, entry: WorldSample) -> JudgedSample:
        """Returns the scores of a sample and the measures that broke a rule.

        A control is also compared with earlier controls of its source that show other things.
        """
        scores = self._scores(entry)
        rules = _rules(entry)
        limits = merge_rules_for(
            rules, TEXT_LIMITS if entry.good.layers else LIMITS[entry.good.kind]
        )
        broken = _broken(scores, limits)
        by_reference = None
        if entry.reference and Measure.LIKENESS in scores:
            measured = [rule for rule in REFERENCE_LIMITS if rule.check in scores]
            by_reference = broken | _broken(scores, measured)
        return JudgedSample(scores, _broken(scores, rules), broken, by_reference)

    def _scores(self, entry: WorldSample) -> dict[Measure, float]:
        pixels = decode_or_none(entry.spoilt.data)
        critic = self._critic if entry.good.source in _WITH_CRITIC else None
        reference = entry.good.pixels if entry.reference else None
        scores = score_image(
            pixels, claimed_request(entry), critic, prompt=entry.spoilt.prompt, reference=reference
        )
        if pixels is None:
            return scores
        scores[Measure.DUPLICATE_DISTANCE] = self._distance(entry, fingerprint(pixels))
        return scores

    def _distance(self, entry: WorldSample, image: int) -> float:
        if entry.spoilt.twin is not None:
            original = fingerprint(entry.spoilt.twin)
            nearest = Neighbours([KnownImage(original, "twin")]).nearest(image)
        elif entry.sample.severity:
            return _NO_NEIGHBOUR
        else:  # an image with the same prompt is no duplicate
            controls = self._controls.setdefault(entry.sample.source, Neighbours())
            nearest = controls.nearest(image, exclude=entry.good.prompt)
            controls.add(image, entry.good.prompt)
        return nearest[0] if nearest else _NO_NEIGHBOUR


def _broken(scores: dict[Measure, float], rules: Iterable[Rule]) -> frozenset[Measure]:
    return frozenset(finding.check for finding in judge(scores, tuple(rules)).findings)


def claimed_request(entry: WorldSample) -> GenerationRequest:
    """Returns the request whose result the sample stands for."""
    return GenerationRequest(
        prompt=entry.spoilt.prompt,
        width=entry.sample.width,
        height=entry.sample.height,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        text_layers=entry.spoilt.layers,
    )


def merge_rules_for(rules: Iterable[Rule], others: Iterable[Rule]) -> tuple[Rule, ...]:
    """Returns the rules; a rule of `others` replaces the rule for the same measure."""
    return tuple({rule.check: rule for rule in (*rules, *others)}.values())


def _rules(entry: WorldSample) -> list[Rule]:
    """Returns the default rules of plans for the sample's kind.

    Images with text have other rules; without a critic there is no rule for agreement.
    """
    rules = TEXT_RULES if entry.good.layers else RULES[entry.good.kind]
    has_critic = entry.good.source in _WITH_CRITIC
    return [rule for rule in rules if has_critic or rule.check is not Measure.AGREEMENT]
