"""The pictures that the commissions under way start from, by their digests."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.engine.pipeline import Start
from app.errors import InvalidRequest
from app.image.init_image import read_init_image


class InputFiles:
    """What an engine asks for a picture that a request names; holds no more than is under way."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._borrowers: Counter[str] = Counter()

    def __call__(self, digest: str) -> Start:
        """The picture or the latents; raises BadImage for faulty files, InvalidRequest for none."""
        if digest not in self._files:
            raise InvalidRequest(
                f"image {digest[:12]} did not come with the request; send it along"
            )
        return read_init_image(self._files[digest])

    @contextmanager
    def holding(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Hold these files until whoever lent them is done, and longer if others lent them too."""
        self._files |= files
        self._borrowers.update(files.keys())
        try:
            yield
        finally:
            self._borrowers.subtract(files.keys())
            for digest in [digest for digest in files if not self._borrowers[digest]]:
                del self._files[digest], self._borrowers[digest]
