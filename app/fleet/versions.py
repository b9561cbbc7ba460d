"""Model versions by the reference that a plan may write."""

from collections.abc import Mapping
from difflib import get_close_matches

from app.errors import NoRoute
from app.types import ModelVersion, Tags


def resolve(reference: str, fleet: Mapping[str, ModelVersion]) -> ModelVersion:
    """Returns the version behind a reference. Raises NoRoute, naming the nearest known one."""
    if reference in fleet:
        return fleet[reference]
    near = get_close_matches(reference, fleet, n=1, cutoff=0)
    raise NoRoute(
        f"there is no model {reference!r}; did you mean {near[0]!r}? "
        f"Known: {', '.join(sorted(fleet))}"
    )


def residency_refusal(model: ModelVersion, tags: Tags) -> str | None:
    """Returns why the model may not receive a request with these tags, or None when it may."""
    if tags.residency in ("", model.residency):
        return None
    place = f"hosted at {model.hosted.host}" if model.hosted else "on your own machines"
    return f"{model.reference} is {place}, but the residency is {tags.residency}"
