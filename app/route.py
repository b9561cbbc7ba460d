"""Which model version answers, and why: the first form, one model by its written reference."""

from collections.abc import Mapping
from difflib import get_close_matches

from app.errors import NoRoute, OutOfBounds
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
    backend = "echo" if model.family == "echo" else "engine"
    return Route(backend=backend, model=model, reason=f"the plan names {spec.model}")


def resolve(reference: str, fleet: Mapping[str, ModelVersion]) -> ModelVersion:
    """The version behind a reference; raises NoRoute with the nearest known one."""
    if reference in fleet:
        return fleet[reference]
    near = get_close_matches(reference, fleet, n=1, cutoff=0)
    raise NoRoute(
        f"no model stands under {reference!r}; did you mean {near[0]!r}? "
        f"Known: {', '.join(sorted(fleet))}"
    )
