"""The images rendered recently, to start from and to keep; within a limit of memory."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from app.api.responses import ServedImage
from app.route.by_role import DeployedModel


@dataclass(frozen=True, slots=True)
class RecentImage:
    """An image, the model that rendered it, and the files that its request names."""

    image: ServedImage
    served: DeployedModel
    files: Mapping[str, bytes]

    @property
    def bytes(self) -> int:
        """Returns the size in memory, in bytes."""
        return self.image.bytes + sum(map(len, self.files.values()))


class RecentImages:
    """At most `max_bytes` of images; the least recently used are dropped first.

    Each caller finds only its own: an image's id follows from its request, so that others could
    guess it.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: OrderedDict[tuple[str, str], RecentImage] = OrderedDict()
        self._bytes = 0

    def add(self, owner: str, recent: RecentImage) -> None:
        """Stores an image under its request's id."""
        place = (owner, recent.image.request.id)
        self._forget(place)
        self._held[place] = recent
        self._bytes += recent.bytes
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._held)))

    def find(self, owner: str, request_id: str) -> RecentImage | None:
        """Returns the image; None when it is not here, or no longer."""
        recent = self._held.get((owner, request_id))
        if recent is not None:
            self._held.move_to_end((owner, request_id))
        return recent

    def _forget(self, place: tuple[str, str]) -> None:
        gone = self._held.pop(place, None)
        if gone is not None:
            self._bytes -= gone.bytes
