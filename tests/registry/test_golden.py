"""The golden run: the same figures again, damage that shows, and every failure counted."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from app.backends.echo import EchoBackend
from app.engine.results import FailedRequest, RenderedImage
from app.errors import EngineError, InvalidRequest
from app.fleet.prices import Price
from app.image.png import read_png
from app.models.bundled import ECHO
from app.registry.golden import PROMPTS, golden_requests, golden_set, run_golden_set
from app.types import GenerationRequest, Measure, Size

SET = golden_set(ECHO, None, "", prompts=PROMPTS[:3], samples=2)


class Flat:
    """A backend that paints every pixel the same and fails at one seed."""

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        for request in requests:
            if request.seed == 1:
                yield FailedRequest(request, EngineError("no"))
            else:
                pixels = np.full((request.height, request.width, 4), 200, dtype=np.uint8)
                yield RenderedImage(request, pixels, seconds=0.5)


def test_the_same_version_gives_the_same_figures_again() -> None:
    counted: list[int] = []
    first, pictures = run_golden_set(ECHO, EchoBackend(), SET, seen=counted.append)
    again, _ = run_golden_set(ECHO, EchoBackend(), SET)
    assert first.replace(measured_at="") == again.replace(measured_at="")
    assert (first.images, first.failed, first.agreement) == (6, 0, None)
    assert first.acceptance == 1
    assert sum(counted) == 6
    assert sorted(pictures) == ["00.png", "01.png", "02.png"]
    assert read_png(pictures["00.png"]).shape == (64, 64, 4)


def test_every_prompt_is_asked_with_every_seed_at_the_versions_own_settings() -> None:
    model = ECHO.replace(sizes=(Size(width=96, height=64),), num_inference_steps=7)
    requests = golden_requests(model, SET)
    assert len({request.id for request in requests}) == 6
    assert {(request.width, request.num_inference_steps) for request in requests} == {(96, 7)}
    assert [request.seed for request in requests] == [0, 1] * 3


def test_flat_pictures_are_refused_with_their_reasons_and_failures_counted() -> None:
    result, _ = run_golden_set(ECHO, Flat(), SET, price=Price(cpu_second=2))
    assert (result.images, result.failed, result.acceptance) == (6, 3, 0)
    assert [bool(look) for look in result.looks] == [True, False] * 3
    assert result.complaints[Measure.CONTRAST] == 3
    assert result.seconds_per_image == 0.5
    assert result.usd_per_image == pytest.approx(1.0)


def test_damage_is_seen_in_most_pictures_even_without_a_critic() -> None:
    result, _ = run_golden_set(ECHO, EchoBackend(), golden_set(ECHO, None, ""))
    assert result.damaged_passes <= 0.1


def test_results_can_be_compared_only_within_one_set() -> None:
    sets = [
        SET,
        golden_set(ECHO, None, "", prompts=PROMPTS[:2], samples=2),
        golden_set(ECHO, None, "", prompts=PROMPTS[:3], samples=3),
        golden_set(ECHO, None, "7" * 64, prompts=PROMPTS[:3], samples=2),
        golden_set(ECHO.replace(capabilities=()), None, "", prompts=PROMPTS[:3], samples=2),
    ]
    assert len({golden_set.digest for golden_set in sets}) == len(sets)
    assert golden_set(ECHO, None, "", prompts=PROMPTS[:3], samples=2).digest == SET.digest
    with pytest.raises(InvalidRequest, match="no prompts"):
        golden_set(ECHO, None, "", prompts=[])
