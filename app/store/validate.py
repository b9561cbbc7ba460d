"""Validate: what a row must come with: exactly its bytes, complete provenance, all its parts."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from app.digest import digest_bytes
from app.errors import CatalogError, DigestMismatch
from app.types import AssetRecord, GeneratedImage, Provenance, Status


def require_bytes(what: str, named: Sequence[str], blobs: Sequence[bytes]) -> None:
    """Raises DigestMismatch unless the blobs are exactly those named, in any order."""
    offered = [digest_bytes(data) for data in blobs]
    if sorted(offered) != sorted(named):
        raise DigestMismatch(
            f"{what} names the bytes {_short(named)} and comes with {_short(offered)}; "
            "give exactly the bytes it names"
        )


def require_image(image: GeneratedImage) -> None:
    """Raises CatalogError naming what an image's provenance lacks or contradicts."""
    faults = list(_gaps(image.provenance))
    if not faults and image.request_id != image.provenance.request_id:
        faults = ["request_id"]
    _refuse(f"image {image.key}: its provenance", faults)


def require_files(images: Sequence[GeneratedImage], files: Sequence[bytes]) -> None:
    """Raises DigestMismatch for a file that is neither an input nor the latents of an image."""
    requests = [image.provenance.request for image in images]
    named = {digest for request in requests for digest in (request.init_image, request.mask_image)}
    named |= {image.latents for image in images}
    strange = [digest for digest in map(digest_bytes, files) if digest not in named]
    if strange:
        raise DigestMismatch(f"the files {_short(strange)} belong to no image; leave them out")


def require_record(record: AssetRecord) -> None:
    """Raises CatalogError naming what a record lacks for its status or contradicts."""
    what = f"asset {record.name}@{record.version} ({record.status})"
    if record.status in (Status.ACCEPTED, Status.REVIEW):
        parts = ("image", "asset", "provenance")
        _refuse(what, [part for part in parts if getattr(record, part) is None])
    if record.provenance is not None:
        _refuse(f"{what}: its provenance", _gaps(record.provenance))
    _refuse(what, _contradictions(record))


def _gaps(provenance: Provenance) -> Iterator[str]:
    try:
        # A value built without validation may lack fields.
        Provenance.model_validate(provenance.as_json())
    except ValidationError as exc:
        yield from (".".join(map(str, error["loc"])) for error in exc.errors())
        return
    for name in ("model", "backend", "pipeline_version"):
        if not getattr(provenance, name):
            yield name
    for name in ("python", "platform", "processor", "libraries"):
        if not getattr(provenance.environment, name):
            yield f"environment.{name}"
    if provenance.request_id != provenance.request.id:
        yield "request_id"
    if provenance.prompt_digest != provenance.request.prompt_digest:
        yield "prompt_digest"


def _contradictions(record: AssetRecord) -> Iterator[str]:
    asset, image, provenance = record.asset, record.image, record.provenance
    if asset is not None and (asset.name, asset.version) != (record.name, record.version):
        yield "asset (another name or version)"
    if image is not None and provenance is not None and image.request_id != provenance.request_id:
        yield "provenance (of another request than its image)"


def _refuse(what: str, faults: Iterator[str] | Sequence[str]) -> None:
    if text := ", ".join(faults):
        raise CatalogError(f"{what} lacks or misstates {text}; give it before publishing")


def _short(digests: Sequence[str]) -> str:
    return "[" + ", ".join(digest[:12] for digest in digests) + "]"
