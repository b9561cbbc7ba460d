"""Drift and distance: what has not changed stays in its bands, what has is told soon."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.accept.distance import measure_distance
from app.accept.drift import FALSE_ALARMS, DriftReport, Row, drift
from app.accept.risk_bounds import binomial_tail
from app.check.measures import measures
from app.check.palette import colour_summary
from app.check.planes import Pixels
from app.monitor.alerts import AlertKind, drift_alert
from jobs.train.starter.drawings import Label, all_labels, draw
from tests.accept.simulated_world import SimulatedWorld

SOON = 30
"""Images within which a planted drift is told."""


def as_rows(world: SimulatedWorld, count: int, part: str) -> list[Row]:
    named = world.pictures(count, part=part)
    return [{str(name): score for name, score in picture.scores.items()} for picture in named]


def looks(count: int, seed: int, change: Callable[[Pixels], Pixels], style: str = "") -> list[Row]:
    """Drawn icons as the checks and the colouring see them, changed or not."""
    labels = [label for label in all_labels() if label.style == (style or "shaded")]
    rows = []
    for at in range(count):
        label: Label = labels[(seed + 7 * at) % len(labels)]
        pixels = change(draw(label, seed + at))
        scores = {str(name): score for name, score in measures(pixels).items()}
        rows.append(scores | colour_summary(pixels))
    return rows


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
    worlds = [SimulatedWorld(seed) for seed in range(8)]
    return [drift(as_rows(world, 1000, "before"), as_rows(world, 1000, "now")) for world in worlds]


def test_thousands_of_unchanged_pictures_raise_no_more_alarms_than_stated(
    unchanged: list[DriftReport],
) -> None:
    alarms = sum(bool(report.drifted) for report in unchanged)
    assert all((report.images, report.false_alarms) == (1000, FALSE_ALARMS) for report in unchanged)
    assert 1 - binomial_tail(alarms - 1, len(unchanged), FALSE_ALARMS) > 0.01 if alarms else True


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
    report = drift(reference, looks(60, 60_600_000, change, style))
    left = {measure.measure: measure.left_at for measure in report.drifted}
    assert left[told_by] is not None
    assert left[told_by] <= SOON  # type: ignore[operator]
    assert min(at for at in left.values() if at) == report.drifted[0].left_at
    alert = drift_alert("run", measures=list(left), after=report.drifted[0].left_at or 0)
    assert alert is not None
    assert alert.trouble is AlertKind.DRIFT
    assert told_by in alert.message
    assert drift_alert("run", measures=[], after=0) is None


def test_a_drift_that_begins_late_is_told_after_its_beginning(reference: list[Row]) -> None:
    late = [*looks(40, 60_600_000, same), *looks(40, 60_700_000, blurred)]
    left_at = {measure.measure: measure.left_at for measure in drift(reference, late).wanders}
    assert left_at["sharpness"] is not None
    assert 40 < left_at["sharpness"] <= 40 + SOON


def test_too_little_to_compare_is_refused(reference: list[Row]) -> None:
    with pytest.raises(ValueError, match="too few"):
        drift(reference[:99], reference[:5])
    with pytest.raises(ValueError, match="too few"):
        measure_distance(reference[:19], reference)


def test_the_same_release_is_no_farther_from_itself_than_chance(reference: list[Row]) -> None:
    distance = measure_distance(reference[:150], reference[150:])
    assert distance.chance > 0.01
    assert distance.distance < 2 * distance.by_chance


def test_another_release_is_farther_than_chance_and_few_pictures_are_biased(
    reference: list[Row],
) -> None:
    other = looks(150, 60_600_000, blurred)
    distance = measure_distance(reference, other)
    assert distance.low < distance.high
    assert distance.distance > 2 * distance.by_chance
    assert distance.chance < 0.01
    assert measure_distance(reference[:30], other[:30]).by_chance > distance.by_chance
