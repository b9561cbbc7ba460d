"""Which model version answers, and why: the first form, one model by its written reference."""

from collections.abc import Mapping

from app.errors import OutOfBounds
from app.fleet import resolve
from app.types import AssetSpec, ModelVersion, Route, Size


def route(spec: AssetSpec, fleet: Mapping[str, ModelVersion]) -> Route:
    """Resolve the spec's model reference to a version that can make its image.

    Raises NoRoute for an unknown reference, OutOfBounds for a size the model was not made for.
    """
    model = resolve(spec.model, fleet)
    asked = Size(width=spec.request.width, height=spec.request.height)
    if model.sizes and asked not in model.sizes:
        raise OutOfBounds(
            f"{spec.name} asks {model.reference} for {asked}, which it was not trained at; "
            f"generate at {' or '.join(map(str, model.sizes))} and let finishing resize"
        )
    if spec.request.text_layers and "text" not in model.capabilities:
        raise OutOfBounds(
            f"{spec.name} has text_layers, and {model.reference} sets no text; give the asset a "
            "model that does (model: typography), or drop the layers"
        )
    backend = "echo" if model.family == "echo" else "engine"
    return Route(backend=backend, model=model, reason=f"the plan names {spec.model}")
