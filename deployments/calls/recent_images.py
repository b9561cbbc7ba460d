"""The images rendered recently, in memory: to continue from, and to keep as assets."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.api.keep import ChosenImage, KeptAsset, keep_image
from app.api.requests import KeepRequest
from app.api.responses import Problem, ServedImage
from app.route.by_role import DeployedModel
from app.settings import Settings
from app.store.publish import Store, open_store
from deployments.calls.idempotency import CallRefused


@dataclass(frozen=True, slots=True)
class RecentImage:
    """An image, the model that rendered it, and the input files of its request by digest."""

    image: ServedImage
    served: DeployedModel
    files: Mapping[str, bytes]

    @property
    def bytes(self) -> int:
        """Returns the size in memory, in bytes."""
        return self.image.bytes + sum(map(len, self.files.values()))


class RecentImages:
    """At most `max_bytes` of images; the least recently used are dropped first.

    Each caller finds only its own: an image's id follows from its request, so it can be guessed.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._images: OrderedDict[tuple[str, str], RecentImage] = OrderedDict()
        self._bytes = 0

    def add(self, owner: str, recent: RecentImage) -> None:
        """Stores an image under its request's id."""
        key = (owner, recent.image.request.id)
        self._drop(key)
        self._images[key] = recent
        self._bytes += recent.bytes
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._images)))

    def find(self, owner: str, request_id: str) -> RecentImage | None:
        """Returns the image; None if it was never stored or was dropped."""
        recent = self._images.get((owner, request_id))
        if recent is not None:
            self._images.move_to_end((owner, request_id))
        return recent

    def _drop(self, key: tuple[str, str]) -> None:
        dropped = self._images.pop(key, None)
        if dropped is not None:
            self._bytes -= dropped.bytes


class ImageKeeper:
    """Publishes recent images as assets; opens the store at the first one."""

    def __init__(self, recent_images: RecentImages, settings: Settings) -> None:
        self._recent_images = recent_images
        self._settings = settings
        self._lock = asyncio.Lock()

    async def keep(self, body: KeepRequest, owner: str) -> KeptAsset:
        """Publishes an image of this owner; repeated, it returns the existing asset.

        Raises CallRefused for an image that is not in memory, and what `keep_image` raises.
        """
        recent = self._recent_images.find(owner, body.request_id)
        if recent is None:
            raise unknown_image("picture_unknown", "request_id")
        async with self._lock:
            return await asyncio.to_thread(self._publish, recent, body)

    def _publish(self, recent: RecentImage, body: KeepRequest) -> KeptAsset:
        image = recent.image
        chosen = ChosenImage(
            png=image.png,
            provenance=image.provenance,
            seconds=image.seconds,
            cost_usd=image.cost_usd,
            model=recent.served.model,
            files=recent.files,
        )
        return keep_image(chosen, self._store, name=body.name, usage=body.usage)

    @cached_property
    def _store(self) -> Store:
        return open_store(self._settings.blobs, self._settings.catalog)


def unknown_image(code: str, param: str) -> CallRefused:
    """Returns the refusal of an image that is not among those rendered recently."""
    return CallRefused(
        Problem(
            status=404,
            code=code,
            param=param,
            message=f"the image of {param} is not in memory, or no longer; render it again: the "
            "same prompt and seed give the same image",
        )
    )
