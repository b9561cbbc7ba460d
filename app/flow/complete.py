"""Complete: turns a decided asset into finished files and its record."""

from app.digest import digest_bytes
from app.finish.finish import FinishedImage, finish, finishing_of
from app.image.png import png_bytes, read_png
from app.store.png_metadata import image_text
from app.store.publish import Store
from app.types import (
    Asset,
    AssetRecord,
    AssetSpec,
    FinishedFile,
    GeneratedImage,
    Provenance,
    Route,
    Status,
    version_of,
)
from app.types.candidate import DecidedAsset


def complete(
    decided: DecidedAsset, route: Route, store: Store, *, run_id: str
) -> tuple[AssetRecord, tuple[bytes, ...]]:
    """Returns the asset's record and its files' bytes, ready for `publish_assets`.

    Accepted and review images are finished; for others the record keeps the image and the reasons.
    Raises StoreError when the image's bytes are missing or damaged.
    """
    spec, decision, key = decided.spec, decided.decision, decided.key
    image = decision.winner.outcome.image if decision.winner else None
    keeps = decision.status in (Status.ACCEPTED, Status.REVIEW)
    provenance = _provenance(image) if image and keeps else None
    files = _files(image, spec, store, provenance) if image and provenance else ()
    record = AssetRecord(
        key=key,
        name=spec.name,
        version=version_of(key),
        status=decision.status or Status.FAILED,
        spec=spec,
        model=route.model.reference,
        report=decision.report,
        reasons=decision.reasons,
        image=image,
        asset=_asset(spec, key, files) if files else None,
        provenance=provenance,
        attempts=decided.attempts,
        phash=decision.winner.phash if decision.winner else 0,
        run_id=run_id,
        turns=decided.turns,
        retries=decided.retries,
        explained=decided.explained,
    )
    return record, tuple(data for _, data in files)


def complete_overridden(
    record: AssetRecord, image: GeneratedImage, store: Store
) -> tuple[AssetRecord, tuple[bytes, ...]]:
    """Returns the record with the finished files of an accepted asset, and the files' bytes.

    Raises StoreError when the image's bytes are missing or damaged.
    """
    provenance = _provenance(image)
    files = _files(image, record.spec, store, provenance)
    asset = _asset(record.spec, record.key, files)
    return record.replace(asset=asset, provenance=provenance), tuple(data for _, data in files)


def _provenance(image: GeneratedImage) -> Provenance:
    return image.provenance.replace(
        finishing=finishing_of(image.provenance.request), parent=image.digest
    )


def _files(
    image: GeneratedImage, spec: AssetSpec, store: Store, provenance: Provenance
) -> list[tuple[FinishedImage, bytes]]:
    pixels = read_png(store.blobs.get(image.digest))
    text = image_text(provenance)
    finished = finish(pixels, spec.sizes, pivot=spec.pivot, text=bool(spec.request.text_layers))
    return [(item, png_bytes(item.pixels, text=text)) for item in finished]


def _asset(spec: AssetSpec, key: str, files: list[tuple[FinishedImage, bytes]]) -> Asset:
    return Asset(
        name=spec.name,
        version=version_of(key),
        files=tuple(
            FinishedFile(
                size=item.size,
                format="png",
                digest=digest_bytes(data),
                trim=item.trim,
                pivot=item.pivot,
            )
            for item, data in files
        ),
    )
