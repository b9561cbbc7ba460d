"""Refine: which requests follow when the candidates so far were not good enough."""

from app.types import AssetSpec, GenerationRequest


def next_attempts(
    spec: AssetSpec, made: int, *, until: int | None = None
) -> tuple[GenerationRequest, ...]:
    """The next requests after `made` images of this asset, empty when its attempts are used up.

    At most `spec.candidates` at a time and `until` or `spec.attempts` images in all; the seeds
    follow each other, so the same call always gives the same requests.
    """
    end = min(made + spec.candidates, spec.attempts if until is None else until)
    return tuple(spec.candidate(index) for index in range(made, end))
