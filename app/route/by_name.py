"""Routes an asset to one model version by its written reference."""

from collections.abc import Mapping

from app.errors import NoRoute, OutOfBounds
from app.fleet.hosted_requests import unsupported_reason
from app.fleet.versions import residency_refusal, resolve
from app.types import AssetSpec, ModelVersion, Route, Size


def route_by_name(spec: AssetSpec, fleet: Mapping[str, ModelVersion]) -> Route:
    """Resolves the spec's model reference to a version that can make its image.

    Raises NoRoute for an unknown reference or one that the spec's residency rules out, OutOfBounds
    for a size, text or field that the model does not support.
    """
    model = resolve(spec.model, fleet)
    outside = residency_refusal(model, spec.request.tags)
    if outside is not None:
        raise NoRoute(
            f"{spec.name} cannot use its model: {outside}; give it a local model (model: starter), "
            "or remove the tag if it may leave this place"
        )
    asked = Size(width=spec.request.width, height=spec.request.height)
    if model.sizes and asked not in model.sizes:
        raise OutOfBounds(
            f"{spec.name} needs {asked}, at which {model.reference} was not trained; "
            f"generate at {' or '.join(map(str, model.sizes))} and let finishing resize"
        )
    if spec.request.text_layers and "text" not in model.capabilities:
        raise OutOfBounds(
            f"{spec.name} has text_layers, and {model.reference} sets no text; give the asset a "
            "model that does (model: typography), or drop the layers"
        )
    left_out = unsupported_reason(model, spec.request) if model.hosted else None
    if left_out is not None:
        raise OutOfBounds(f"{spec.name} has fields that cannot be sent: {left_out}; remove them")
    return route_to(model, reason=f"the plan names {spec.model}")


def route_to(model: ModelVersion, *, reason: str = "one of several") -> Route:
    """Returns the route to a version, without checking what it supports."""
    return Route(backend=model.backend, model=model, reason=reason)
