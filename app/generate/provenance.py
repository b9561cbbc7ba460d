"""Provenance: builds the provenance of an image that was just rendered."""

from collections.abc import Iterator

from app.digest import Json, canonical_json
from app.engine.results import RenderedImage
from app.environment import environment
from app.types import PIPELINE_VERSION, Provenance, Route


def provenance_of(item: RenderedImage, route: Route, *, attempt: int) -> Provenance:
    """Returns the complete provenance of an image that was just rendered."""
    return Provenance(
        request=item.request,
        request_id=item.request.id,
        prompt_digest=item.request.prompt_digest,
        prompt_embedding_digest=item.prompt_embedding_digest,
        noise_schedule=item.noise_schedule,
        model=route.model.reference,
        weights_digest=route.model.weights_digest,
        backend=route.backend,
        pipeline_version=PIPELINE_VERSION,
        engine=item.engine,
        environment=item.environment or environment(),
        finishing=(),
        attempt=attempt,
        parent=None,
    )


def flatten_provenance(provenance: Provenance) -> dict[str, str]:
    """Returns every field as text by its dotted name, as in environment.libraries.torch."""
    return dict(_flat("", provenance.as_json()))


def _flat(name: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner)
    else:
        yield name, canonical_json(value).decode()
