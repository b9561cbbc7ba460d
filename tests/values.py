"""Small complete values for tests that need one and do not care which."""

from app.models.bundled import ECHO
from app.types import (
    AssetSpec,
    GenerationRequest,
    Kind,
    Measure,
    QualityReport,
    Route,
    Rule,
    Size,
    Verdict,
)
from app.types.candidate import Candidate, Outcome

ROUTE = Route(backend="echo", model=ECHO, reason="the test names it")


def request_with(
    prompt: str = "a red potion", *, seed: int = 0, side: int = 64
) -> GenerationRequest:
    """A request the echo can answer."""
    return GenerationRequest(
        prompt=prompt, width=side, height=side, num_inference_steps=1, guidance_scale=0, seed=seed
    )


def spec_with(
    *rules: Rule, name: str = "potion.red", candidates: int = 2, attempts: int = 4
) -> AssetSpec:
    """An icon of one size with these rules alone."""
    return AssetSpec(
        name=name,
        kind=Kind.ICON,
        usage="inventory",
        axes={},
        request=request_with(name),
        sizes=(Size(width=64, height=64),),
        candidates=candidates,
        attempts=attempts,
        rules=rules,
        model="echo",
    )


def candidate_with(phash: int = 0, **scores: float) -> Candidate:
    """A candidate whose scores are known."""
    report = QualityReport(
        scores={Measure(name): score for name, score in scores.items()}, verdict=Verdict.ACCEPT
    )
    return Candidate(outcome=Outcome(request=request_with()), report=report, phash=phash)


def failed_candidate(error: str = "the worker died") -> Candidate:
    """A candidate without an image."""
    return Candidate(outcome=Outcome(request=request_with(), error=error))
