"""Ray Serve as in its own example, one call a request; with `--batched`, by `@serve.batch`.

A batch is up to eight requests, which the handler splits by equal parameters.
"""

import argparse
import asyncio
from threading import Lock

from PIL.Image import Image
from ray import serve

from app.api.requests import ImagesRequest
from jobs.bench.serve.plain_diffusers import PlainDiffusers
from jobs.bench.serve.ray_host import MODEL, serve_until_stopped

MAX_BATCH = 8
WAIT_SECONDS = 0.05
ONGOING = 32
"""The most requests that wait at the replica, enough to fill the next batch meanwhile."""


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


class BatchedRenderer:
    """Renders whole batches; a thread keeps the replica's loop free to gather the next one."""

    def __init__(self) -> None:
        self._stock = PlainDiffusers()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_SECONDS)
    async def generate(self, bodies: list[ImagesRequest]) -> list[Image]:
        """Returns the images of one batch."""
        return await asyncio.to_thread(self._stock.render, bodies)


def main() -> None:
    """Serves on `--port` until SIGTERM; all other options of a deployment are Serve's defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batched", action="store_true")
    arguments = parser.parse_args()
    if arguments.batched:
        model = serve.deployment(
            BatchedRenderer, name="model", ray_actor_options=MODEL, max_ongoing_requests=ONGOING
        )
    else:
        model = serve.deployment(RayServeRenderer, name="model", ray_actor_options=MODEL)
    serve_until_stopped(model, arguments.port)


if __name__ == "__main__":
    main()
