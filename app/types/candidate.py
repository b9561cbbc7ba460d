"""What becomes of an asset on its way: an outcome per request, a candidate, a decision."""

from typing import Annotated

from pydantic import Field

from app.types import GeneratedImage, GenerationRequest, QualityReport, Status, Value


class Outcome(Value):
    """What became of one request: an image of the store, or the reason why there is none."""

    request: GenerationRequest
    image: GeneratedImage | None = None
    made: bool = False
    """Whether this run generated it; else it was found in the store."""
    error: str = ""
    refused: bool = False
    """Whether it was not begun because no budget is left for it."""
    cpu_seconds: Annotated[float, Field(ge=0)] = 0


class Candidate(Value):
    """An outcome with the checks' numbers and the judge's word on all but its neighbours."""

    outcome: Outcome
    report: QualityReport | None = None
    phash: int = 0


class Decision(Value):
    """What becomes of an asset; without a status another attempt is due."""

    status: Status | None
    winner: Candidate | None
    report: QualityReport | None
    reasons: tuple[str, ...]
