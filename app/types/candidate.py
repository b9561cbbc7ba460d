"""The intermediate results of an asset: an outcome per request, a candidate, a decision."""

from typing import Annotated

from pydantic import Field

from app.types import (
    AssetSpec,
    GeneratedImage,
    GenerationRequest,
    QualityReport,
    Retry,
    StageResult,
    Status,
    Value,
)


class Outcome(Value):
    """The result of one request: an image in the store, or the reason why there is none."""

    request: GenerationRequest
    image: GeneratedImage | None = None
    made: bool = False
    """Whether this run generated it; otherwise it was already in the store."""
    error: str = ""
    refused: bool = False
    """Whether it was not started because no budget is left for it."""
    cpu_seconds: Annotated[float, Field(ge=0)] = 0


class Candidate(Value):
    """An outcome with its measures and the judge's report; duplicates are not checked yet."""

    outcome: Outcome
    report: QualityReport | None = None
    phash: int = 0


class Decision(Value):
    """What happens to an asset; without a status another attempt follows."""

    status: Status | None
    winner: Candidate | None
    report: QualityReport | None
    reasons: tuple[str, ...]


class DecidedAsset(Value):
    """A decided asset, to be finished and published under its own key.

    With several models that may make it, the key is the same whichever made it. `index` is its
    place in the plan.
    """

    index: int = 0
    key: str
    spec: AssetSpec
    decision: Decision
    attempts: int
    turns: tuple[StageResult, ...] = ()
    retries: tuple[Retry, ...] = ()
    explained: str | None = None
