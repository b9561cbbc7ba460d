"""Repair: remakes what `verify` found missing or damaged, where provenance suffices.

A blob is replaced only when the remade bytes have exactly its digest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from app.backends import Backend
from app.digest import digest_bytes
from app.engine.results import FailedRequest
from app.errors import AtelierError, EngineError
from app.finish.finish import finish
from app.generate.renderer import find_route
from app.image.png import png_bytes, read_png
from app.store.png_metadata import image_text
from app.store.publish import Store, restore
from app.store.verify import Difference, DifferenceKind
from app.types import GeneratedImage, ModelVersion, Route, Value

BLOB_KINDS = frozenset({DifferenceKind.MISSING, DifferenceKind.DAMAGED, DifferenceKind.SWAPPED})


class RepairResult(Value):
    """The outcome for one difference; an empty `left` means repaired."""

    difference: Difference
    left: str = ""
    """Why it was not repaired, and what to do."""


def repair(
    differences: Sequence[Difference],
    models: Mapping[str, ModelVersion],
    store: Store,
    backend: Callable[[Route], Backend],
) -> Iterator[RepairResult]:
    """Yields one result per difference, images before the assets that are finished from them.

    Safe to repeat; errors are reported in the results.
    """
    for difference in sorted(differences, key=_after_images):
        try:
            left = _repair_one(difference, models, store, backend)
        except AtelierError as error:
            left = str(error)
        yield RepairResult(difference=difference, left=left)


def _after_images(difference: Difference) -> bool:
    return not any(named.startswith("image ") for named in difference.named_by)


def _repair_one(
    difference: Difference,
    models: Mapping[str, ModelVersion],
    store: Store,
    backend: Callable[[Route], Backend],
) -> str:
    """Repairs one difference; returns why it could not be repaired, or "" when it was."""
    if difference.kind not in BLOB_KINDS:
        return "a catalog row differs from what was committed; restore the catalog from a backup"
    digest = difference.digest
    for named in difference.named_by:
        subject, _, key = named.partition(" ")
        if subject == "page":
            store.blobs.remove(digest)  # so that the next run of its plan packs it again
            return "an atlas page; run its plan again, which packs it again"
        candidates = _files(subject, key, models, store, backend)
        data = next(
            (candidate for candidate in candidates if digest_bytes(candidate) == digest), None
        )
        if data is not None:
            restore(store, digest, data)
            return ""
    return "the remade file has other bytes; `atelier replay` shows what changed"


def _files(
    subject: str,
    key: str,
    models: Mapping[str, ModelVersion],
    store: Store,
    backend: Callable[[Route], Backend],
) -> Iterator[bytes]:
    """Yields the files that this row's value gives when they are made now."""
    if subject == "image":
        for image in store.catalog.images([key]).values():
            yield _generated(image, models, backend)
    if subject == "asset":
        for record in store.catalog.asset_records([key]).values():
            if record.image is not None and record.provenance is not None:
                pixels = read_png(store.blobs.get(record.image.digest))
                text = image_text(record.provenance)
                finished = finish(
                    pixels,
                    record.spec.sizes,
                    pivot=record.spec.pivot,
                    text=bool(record.spec.request.text_layers),
                )
                yield from (png_bytes(image.pixels, text=text) for image in finished)


def _generated(
    image: GeneratedImage,
    models: Mapping[str, ModelVersion],
    backend: Callable[[Route], Backend],
) -> bytes:
    """Returns the image's file, rendered again; raises NoRoute, ModelNotFound or EngineError."""
    provenance = image.provenance
    loaded = backend(find_route(provenance.model, models))
    (outcome,) = loaded.generate([provenance.request])
    if isinstance(outcome, FailedRequest):
        raise EngineError(f"it could not be rendered again: {outcome.error}") from outcome.error
    return png_bytes(outcome.pixels, text=image_text(provenance))
