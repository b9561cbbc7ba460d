"""LitServe with its batching: up to eight requests, split by equal parameters in `predict`."""

import argparse
from typing import Any

import litserve
from PIL.Image import Image

from app.api.requests import ImagesRequest
from jobs.bench.serve.plain_diffusers import PlainDiffusers, openai_answer

MAX_BATCH = 8
WAIT_SECONDS = 0.05
TIMEOUT_SECONDS = 300
"""Its own default of 30 would answer those that wait longer with an error."""


class LitServeRenderer(litserve.LitAPI):  # type: ignore[misc]  # an optional package, untyped here
    """The model under LitServe, in the one worker process it starts."""

    def setup(self, device: str) -> None:
        """Loads the model in the worker."""
        self._stock = PlainDiffusers()

    def decode_request(self, request: dict[str, Any]) -> ImagesRequest:
        """Returns the body, validated."""
        return ImagesRequest.model_validate(request)

    def batch(self, inputs: list[ImagesRequest]) -> list[ImagesRequest]:
        """Returns the list unchanged."""
        return inputs

    def predict(self, bodies: list[ImagesRequest]) -> list[Image]:
        """Returns the images of one batch."""
        return self._stock.render(bodies)

    def unbatch(self, output: list[Image]) -> list[Image]:
        """Returns the list unchanged."""
        return output

    def encode_response(self, image: Image) -> dict[str, Any]:
        """Returns one answer."""
        return openai_answer(image)


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    renderer = LitServeRenderer(
        max_batch_size=MAX_BATCH, batch_timeout=WAIT_SECONDS, api_path="/generate"
    )
    server = litserve.LitServer(
        renderer, accelerator="cpu", workers_per_device=1, timeout=TIMEOUT_SECONDS
    )
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
