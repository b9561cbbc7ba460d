"""What every test may rely on: one tiny SD3 pipeline, and properties that never time anything."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from app.types import GenerationRequest

settings.register_profile(
    "atelier",
    deadline=None,  # machines are busy; tests count, benchmarks measure
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("atelier")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: one that began last would leave the other cores idle."""
    slow = {one.path for one in items if one.get_closest_marker("slow")}
    items.sort(key=lambda one: one.path not in slow)


@pytest.fixture(scope="session")
def stock() -> Any:
    """diffusers' own pipeline at tiny size; one thread suits tiny matrices best."""
    import torch

    from app.models.random_weights import Sd3Shape, random_sd3

    torch.set_num_threads(1)
    return random_sd3(Sd3Shape())


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
