"""The images that the jobs in flight start from, by digest."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.engine.pipeline import Start
from app.errors import InvalidRequest
from app.image.init_image import read_init_image


class InputFiles:
    """Looks up the images that requests name; holds only the files of jobs in flight."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._borrowers: Counter[str] = Counter()

    def __call__(self, digest: str) -> Start:
        """Returns the pixels or latents; raises BadImage if faulty, InvalidRequest if missing."""
        if digest not in self._files:
            raise InvalidRequest(
                f"image {digest[:12]} did not come with the request; send it along"
            )
        return read_init_image(self._files[digest])

    @contextmanager
    def holding(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Holds these files until the context ends, and longer where another job holds them too."""
        self._files |= files
        self._borrowers.update(files.keys())
        try:
            yield
        finally:
            self._borrowers.subtract(files.keys())
            for digest in [digest for digest in files if not self._borrowers[digest]]:
                del self._files[digest], self._borrowers[digest]
