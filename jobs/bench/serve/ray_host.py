"""A contender on Ray Serve: an ingress before one model replica, as in Ray's own example.

https://docs.ray.io/en/latest/serve/tutorials/stable-diffusion.html
"""

import logging
import signal
from contextlib import suppress
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from app.api.requests import ImagesRequest
from app.ray_environment import quiet_start
from jobs.bench.serve.plain_diffusers import openai_answer
from jobs.runtime.cluster import OBJECT_STORE_BYTES, cores

LOGICAL_CPUS = 4
INGRESS = {"num_cpus": 0.1}
MODEL = {"num_cpus": 0.5}
"""Fractions as in our own service: everything fits on two cores, so nothing waits to start."""
LOGGING = {"log_level": "WARNING", "enable_access_log": False}
"""As in our own service."""


class Ingress:
    """POST /generate, forwarded to the replica behind `model`; the PNG is written here."""

    def __init__(self, model: DeploymentHandle[Any]) -> None:
        self._model = model

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Returns the ASGI application; Serve calls this once the replica is constructed."""
        app = FastAPI()

        @app.post("/generate")
        async def generate(body: ImagesRequest) -> dict[str, Any]:
            return openai_answer(await self._model.generate.remote(body))

        return app


def serve_until_stopped(model: Any, port: int) -> None:
    """Runs Ray, Serve and the ingress before a model deployment, until SIGTERM."""
    ingress: Any = serve.deployment(
        serve.ingress()(Ingress), name="ingress", ray_actor_options=INGRESS
    )
    with TemporaryDirectory(prefix="atelier-", ignore_cleanup_errors=True) as folder:
        _start_ray(folder)
        try:
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": "127.0.0.1", "port": port},
                logging_config=LOGGING,
            )
            serve.run(ingress.bind(model.bind()), logging_config=LOGGING)
            signal.signal(signal.SIGTERM, _interrupt)  # Ray installed its own handler
            with suppress(KeyboardInterrupt):
                signal.pause()
        finally:
            serve.shutdown()
            ray.shutdown()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_ray(folder: str) -> None:
    with quiet_start():
        ray.init(
            include_dashboard=False,
            num_cpus=max(cores(), LOGICAL_CPUS),
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
        )
