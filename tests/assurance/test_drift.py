"""Drift and distance: what has not changed stays in its bands, what has is told soon."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.accept.distance import distance
from app.accept.drift import FALSE_ALARMS, DriftReport, Row, drift
from app.accept.risk_bounds import tail
from app.check.measures import measures
from app.check.palette import colouring
from app.check.planes import Pixels
from app.monitor.alerts import Trouble, drift_alert
from jobs.train.starter.drawings import Label, all_labels, draw
from tests.assurance.worlds import World

SOON = 30
"""Images within which a planted drift is told."""


def as_rows(world: World, count: int, part: str) -> list[Row]:
    named = world.pictures(count, part=part)
    return [{str(name): score for name, score in one.scores.items()} for one in named]


def looks(count: int, seed: int, change: Callable[[Pixels], Pixels], style: str = "") -> list[Row]:
    """Drawn icons as the checks and the colouring see them, changed or not."""
    labels = [one for one in all_labels() if one.style == (style or "shaded")]
    found = []
    for at in range(count):
        label: Label = labels[(seed + 7 * at) % len(labels)]
        pixels = change(draw(label, seed + at))
        scores = {str(name): score for name, score in measures(pixels).items()}
        found.append(scores | colouring(pixels))
    return found


def same(pixels: Pixels) -> Pixels:
    return pixels


def paler(pixels: Pixels) -> Pixels:
    """Another palette: every colour half way to grey."""
    page = pixels.copy()
    grey = page[..., :3].mean(axis=2, keepdims=True)
    page[..., :3] = np.rint((page[..., :3] + grey) / 2)
    return page


def blurred(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.2), np.uint8)


@pytest.fixture(scope="module")
def reference() -> list[Row]:
    return looks(300, 60_500_000, same)


@pytest.fixture(scope="module")
def unchanged() -> list[DriftReport]:
    worlds = [World(seed) for seed in range(8)]
    return [drift(as_rows(one, 1000, "before"), as_rows(one, 1000, "now")) for one in worlds]


def test_thousands_of_unchanged_pictures_raise_no_more_alarms_than_stated(
    unchanged: list[DriftReport],
) -> None:
    alarms = sum(bool(one.drifted) for one in unchanged)
    assert all((one.images, one.false_alarms) == (1000, FALSE_ALARMS) for one in unchanged)
    assert 1 - tail(alarms - 1, len(unchanged), FALSE_ALARMS) > 0.01 if alarms else True


def test_unchanged_drawings_stay_in_their_bands(reference: list[Row]) -> None:
    assert not drift(reference, looks(60, 60_600_000, same)).drifted


@pytest.mark.parametrize(
    ("change", "style", "told_by"),
    [(paler, "", "chroma"), (blurred, "", "sharpness"), (same, "flat", "modelling")],
    ids=["a palette shift", "more blur", "another model"],
)
def test_a_planted_drift_is_told_within_thirty_images_by_its_measure(
    reference: list[Row], change: Callable[[Pixels], Pixels], style: str, told_by: str
) -> None:
    found = drift(reference, looks(60, 60_600_000, change, style))
    left = {one.measure: one.left_at for one in found.drifted}
    assert left[told_by] is not None
    assert left[told_by] <= SOON  # type: ignore[operator]
    assert min(at for at in left.values() if at) == found.drifted[0].left_at
    alert = drift_alert("run", measures=list(left), after=found.drifted[0].left_at or 0)
    assert alert is not None
    assert alert.trouble is Trouble.DRIFT
    assert told_by in alert.message
    assert drift_alert("run", measures=[], after=0) is None


def test_a_drift_that_begins_late_is_told_after_its_beginning(reference: list[Row]) -> None:
    late = [*looks(40, 60_600_000, same), *looks(40, 60_700_000, blurred)]
    found = {one.measure: one.left_at for one in drift(reference, late).wanders}
    assert found["sharpness"] is not None
    assert 40 < found["sharpness"] <= 40 + SOON


def test_too_little_to_compare_is_refused(reference: list[Row]) -> None:
    with pytest.raises(ValueError, match="too few"):
        drift(reference[:99], reference[:5])
    with pytest.raises(ValueError, match="too few"):
        distance(reference[:19], reference)


def test_the_same_release_is_no_farther_from_itself_than_chance(reference: list[Row]) -> None:
    found = distance(reference[:150], reference[150:])
    assert found.chance > 0.01
    assert found.distance < 2 * found.by_chance


def test_another_release_is_farther_than_chance_and_few_pictures_are_biased(
    reference: list[Row],
) -> None:
    other = looks(150, 60_600_000, blurred)
    found = distance(reference, other)
    assert found.low < found.high
    assert found.distance > 2 * found.by_chance
    assert found.chance < 0.01
    assert distance(reference[:30], other[:30]).by_chance > found.by_chance
