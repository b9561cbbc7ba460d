"""Ray Serve with `@serve.batch`: up to eight requests, split by equal parameters in the handler."""

import asyncio
from typing import Any

from PIL.Image import Image
from ray import serve

from app.api.requests import ImagesRequest
from jobs.bench.serve.plain_diffusers import PlainDiffusers
from jobs.bench.serve.ray_host import MODEL, port, serve_until_stopped

MAX_BATCH = 8
WAIT_SECONDS = 0.05
ONGOING = 32
"""The most requests that wait at the replica, enough to fill the next batch meanwhile."""


class BatchedRenderer:
    """Renders whole batches; a thread keeps the replica's loop free to gather the next one."""

    def __init__(self) -> None:
        self._stock = PlainDiffusers()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_SECONDS)
    async def generate(self, bodies: list[ImagesRequest]) -> list[Image]:
        """Returns the images of one batch."""
        return await asyncio.to_thread(self._stock.render, bodies)


def deployment() -> Any:
    """Returns the deployment."""
    return serve.deployment(
        BatchedRenderer, name="painter", ray_actor_options=MODEL, max_ongoing_requests=ONGOING
    )


if __name__ == "__main__":
    serve_until_stopped(deployment(), port())
