"""Residency: whether a model may see a request, by where it stands and what the tags say.

The one rule, asked twice: on the way to a model, and again by whatever would send a request away.
"""

from app.types import ModelVersion, Tags


def allowed(model: ModelVersion, tags: Tags) -> str | None:
    """Why the model may not see what bears these tags; None when it may."""
    if tags.residency in ("", model.residency):
        return None
    place = f"hosted at {model.hosted.host}" if model.hosted else "on one's own machines"
    return f"{model.reference} stands {place}, and residency is {tags.residency}"
