"""Ray Serve as in its own Stable Diffusion example: no batching, one `generate` a request."""

from threading import Lock
from typing import Any

from PIL.Image import Image
from ray import serve

from app.api.requests import ImagesRequest
from jobs.bench.serve.plain_diffusers import PlainDiffusers
from jobs.bench.serve.ray_host import MODEL, port, serve_until_stopped


class RayServeRenderer:
    """Renders one image at a time.

    Serve runs a plain method in threads, five requests at once by default; the lock keeps them from
    counting each other's steps in the pipeline's one scheduler.
    """

    def __init__(self) -> None:
        self._stock = PlainDiffusers()
        self._lock = Lock()

    def generate(self, body: ImagesRequest) -> Image:
        """Returns the image of one request."""
        with self._lock:
            return self._stock.render([body])[0]


def deployment() -> Any:
    """Returns the deployment; all other options are Serve's defaults."""
    return serve.deployment(RayServeRenderer, name="painter", ray_actor_options=MODEL)


if __name__ == "__main__":
    serve_until_stopped(deployment(), port())
