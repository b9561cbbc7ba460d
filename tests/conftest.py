"""One tiny SD3 pipeline for every test that renders."""

from typing import Any

import pytest

from app.types import GenerationRequest


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """diffusers' own pipeline at tiny size; one thread suits tiny matrices best."""
    import torch

    from tests.tiny import tiny_sd3

    torch.set_num_threads(1)
    return tiny_sd3(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def request_of() -> Any:
    """A request with sensible small values where the test does not care."""

    def build(**changes: Any) -> GenerationRequest:
        fields: dict[str, Any] = {
            "prompt": "a red potion",
            "width": 16,
            "height": 16,
            "num_inference_steps": 4,
            "guidance_scale": 4.0,
        }
        return GenerationRequest(**(fields | changes))

    return build
