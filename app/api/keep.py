"""Publishes a rendered image that a person chose as an asset of the catalog.

It passes through the flow of a run without rules: it is measured, finished and published with the
provenance that the replica wrote.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.check.duplicates import Neighbours
from app.digest import digest_bytes
from app.errors import StoreError
from app.flow.make import make
from app.generate.generate import LEASE_SECONDS
from app.store.publish import Store, begin_run, claim, new_run_id, publish_images
from app.types import (
    AssetRecord,
    AssetSpec,
    GeneratedImage,
    GenerationRequest,
    Kind,
    ModelVersion,
    Provenance,
    Route,
    Size,
    Status,
    Value,
)
from app.types.candidate import Outcome


class KeptAsset(Value):
    """The asset of a kept image, and whether it existed before."""

    record: AssetRecord
    already: bool


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """A rendered image: its file, its provenance, and the input files of its request by digest."""

    png: bytes
    provenance: Provenance
    seconds: float
    cost_usd: float
    model: ModelVersion
    files: Mapping[str, bytes]


def keep_image(chosen: ChosenImage, store: Store, *, name: str, usage: str) -> KeptAsset:
    """Publishes the image as an asset of this name; repeated, it returns the existing asset.

    Raises StoreError when another process is publishing it, KeyConflict when its key has other
    bytes.
    """
    request = chosen.provenance.request
    spec = AssetSpec(
        name=name,
        kind=Kind.ICON,
        usage=usage,
        axes={},
        request=request,
        sizes=(Size(width=request.width, height=request.height),),
        model=chosen.model.reference,
    )
    route = Route(backend="engine", model=chosen.model, reason="somebody chose the picture")
    existing = store.catalog.asset_records([route.key(spec.digest)])
    for record in existing.values():
        if record.status is Status.ACCEPTED:
            return KeptAsset(record=record, already=True)
    run_id = new_run_id()
    begin_run(store, run_id, plan="previews", document={"kept": spec.as_json()})
    record = make(spec, _ChosenImageSource(route, store, run_id, chosen), None, Neighbours())
    store.catalog.end_run(run_id, {"asked": 1, "accepted": 1, "cost_usd": chosen.cost_usd})
    return KeptAsset(record=record, already=False)


@dataclass(frozen=True, slots=True)
class _ChosenImageSource:
    """An image source for the flow; its only image is rendered already."""

    route: Route
    store: Store
    owner: str
    chosen: ChosenImage

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """Returns the image, committed under its key; raises StoreError if a run has claimed it."""
        (request,) = requests
        key = self.route.key(request.id)
        claimed = claim(self.store, [key], owner=self.owner, seconds=LEASE_SECONDS)
        if key in claimed.committed:
            return [Outcome(request=request, image=claimed.committed[key])]
        if key not in claimed.won:
            raise StoreError(
                f"a run is rendering request {request.id[:12]} now; keep the image again later"
            )
        (image,) = publish_images(
            self.store,
            [(self._image(key), self.chosen.png)],
            owner=self.owner,
            files=tuple(self.chosen.files.values()),
        )
        return [Outcome(request=request, image=image, made=True)]

    def _image(self, key: str) -> GeneratedImage:
        chosen = self.chosen
        return GeneratedImage(
            key=key,
            request_id=chosen.provenance.request_id,
            digest=digest_bytes(chosen.png),
            width=chosen.provenance.request.width,
            height=chosen.provenance.request.height,
            seconds=chosen.seconds,
            cost_usd=chosen.cost_usd,
            provenance=chosen.provenance,
        )
