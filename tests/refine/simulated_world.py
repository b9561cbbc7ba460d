"""Simulated worlds: what a request's picture comes to is a hash of it, against a known chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.check.duplicates import Neighbours
from app.check.judge import judge
from app.digest import digest
from app.flow.decide import decide
from app.refine.attempts import Refiner
from app.refine.statistics import RefineStatistics, count_retries
from app.route.stages import next_requests, retries_of
from app.types import (
    AssetSpec,
    GenerationRequest,
    Measure,
    ModelVersion,
    Refine,
    Retry,
    Rule,
    Status,
)
from app.types.candidate import Candidate, Decision, Outcome
from tests.store.values import image_of
from tests.values import spec_with

MODEL = ModelVersion(
    name="painter", version="1", family="sd3", weights_digest="0" * 64, licence="Apache-2.0",
    num_inference_steps=4, guidance_scale=3, max_sequence_length=1,
)  # fmt: skip
MODELS = {"painter": MODEL}


def spec_of(number: int = 0, *, attempts: int = 6, candidates: int = 1) -> AssetSpec:
    """An asset of the painter's, tried again with a reason."""
    rule = Rule(check=Measure.AGREEMENT, at_least=0.5)
    spec = spec_with(rule, name=f"gem.{number}", attempts=attempts, candidates=candidates)
    request = spec.request.replace(num_inference_steps=4, guidance_scale=3, seed=1000 * number)
    return spec.replace(model="painter", request=request, refine=Refine.REASON)


@dataclass(slots=True)
class AttemptedAsset:
    """What became of an asset."""

    candidates: list[Candidate] = field(default_factory=list)
    decision: Decision | None = None
    retries: tuple[Retry, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether one passed."""
        return self.decision is not None and self.decision.status is Status.ACCEPTED


@dataclass(frozen=True, slots=True)
class World:
    """The true chance of a request's picture; what fails breaks `wrong`.

    Where the chance is good, what fails comes nearer too, on average.
    """

    chance: Callable[[GenerationRequest], float]
    wrong: Measure = Measure.AGREEMENT

    def picture(self, request: GenerationRequest, spec: AssetSpec) -> Candidate:
        """What comes of the request: the same whenever it is asked for."""
        number = int(digest(["world", request.id])[:8], 16)
        chance = self.chance(request)
        good = number / 2**32 < chance
        image = image_of(request.seed, request.id.encode())
        image = image.replace(provenance=image.provenance.replace(request=request))
        report = judge(
            {Measure.AGREEMENT: 1.0 if good else (0.2 + chance) * number / 2**34}, spec.rules
        )
        if not good:
            findings = tuple(finding.replace(check=self.wrong) for finding in report.findings)
            report = report.replace(findings=findings)
        outcome = Outcome(request=request, image=image)
        return Candidate(outcome=outcome, report=report, phash=number)

    def make(self, spec: AssetSpec, refiner: Refiner | None) -> AttemptedAsset:
        """The asset through all its rounds."""
        made = AttemptedAsset()
        while made.decision is None or made.decision.status is None:
            requests = next_requests(spec, (), made.candidates, refiner)
            made.candidates += [self.picture(request, spec) for request in requests]
            made.decision = decide(spec, made.candidates, Neighbours())
        made.retries = retries_of(lambda _: spec, (), made.candidates, made.decision, refiner)
        return made

    def taught(self, specs: Sequence[AssetSpec]) -> RefineStatistics:
        """What making these teaches whoever knew nothing."""
        nothing = Refiner(RefineStatistics(), MODELS)
        return count_retries(retry for spec in specs for retry in self.make(spec, nothing).retries)

    def each(self, specs: Sequence[AssetSpec], refiner: Refiner | None) -> float:
        """Attempts for each accepted asset."""
        games = [self.make(spec, refiner) for spec in specs]
        return sum(len(made.candidates) for made in games) / sum(made.accepted for made in games)
