"""The measures of edges, grain and damage: each rises with the defect that it is named for."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from app.check.integrity import decode_or_none
from app.check.judge import judge
from app.check.limits import LIMITS
from app.check.measures import measures
from app.image.png import png_bytes
from app.types import Kind, Measure
from jobs.train.defects import pixels as pixel_defects
from jobs.train.defects.sources import drawn, texture
from tests.check.sample_drawings import Pixels, clean, filled

Defect = Callable[[Pixels, int, np.random.Generator], Pixels]

RISES: dict[str, tuple[Defect, Measure]] = {
    "fringe": (pixel_defects.alpha_fringe, Measure.FRINGE),
    "halo": (pixel_defects.halo, Measure.HALO),
    "noise": (pixel_defects.noise, Measure.NOISE),
    "blotches": (pixel_defects.colour_blotches, Measure.BLOTCHES),
    "clipping": (pixel_defects.clipping, Measure.CLIPPING),
    "specks": (pixel_defects.specks, Measure.FRAGMENTS),
    "pinholes": (pixel_defects.pinholes, Measure.FRAGMENTS),
}
FALLS: dict[str, tuple[Defect, Measure]] = {
    "blur": (pixel_defects.blur, Measure.SHARPNESS),
    "grey": (pixel_defects.washed_out, Measure.CONTRAST),
}
RULES = tuple(rule for rule in LIMITS[Kind.ICON] if rule.check is not Measure.AGREEMENT)


def by_severity(defect: Defect, measure: Measure) -> list[float]:
    """The mean over clean drawings: untouched, mild, medium, grave."""
    rows = []
    for label, pixels in clean()[::3]:
        rng = [np.random.default_rng([len(label.kind), severity]) for severity in range(4)]
        spoilt = [pixels, *(defect(pixels, severity, rng[severity]) for severity in (1, 2, 3))]
        rows.append([measures(pixels)[measure] for pixels in spoilt])
    return [float(mean) for mean in np.mean(rows, axis=0)]


@pytest.mark.parametrize("name", RISES)
def test_the_graver_the_defect_the_higher_its_measure(name: str) -> None:
    means = by_severity(*RISES[name])
    assert means == sorted(means)
    assert means[0] < means[1] < means[3]


@pytest.mark.parametrize("name", FALLS)
def test_the_graver_the_defect_the_lower_what_is_lost(name: str) -> None:
    means = by_severity(*FALLS[name])
    assert means == sorted(means, reverse=True)
    assert means[0] > means[3]


def test_a_texture_that_repeats_has_no_seam_and_a_ramp_over_it_has() -> None:
    for seed in range(60_090_000, 60_090_010):
        whole = texture(seed).pixels
        ramps = [pixel_defects.seam(whole, s, np.random.default_rng(s)) for s in (1, 2, 3)]
        seams = [measures(picture)[Measure.SEAM] for picture in (whole, *ramps)]
        assert seams == sorted(seams)
        assert seams[0] < 0.5 < seams[2]


def test_turning_a_texture_does_not_change_its_seam() -> None:
    ramp = pixel_defects.seam(texture(1).pixels, 2, np.random.default_rng(0))
    seams = [measures(np.ascontiguousarray(np.rot90(ramp, k)))[Measure.SEAM] for k in range(4)]
    assert seams == pytest.approx([seams[0]] * 4)


def test_shading_in_few_levels_is_banded_and_a_smooth_ramp_is_not() -> None:
    ramp = np.repeat(np.linspace(40, 200, 128, dtype=np.uint8)[None], 128, axis=0)
    smooth = np.dstack([ramp, ramp, ramp, np.full_like(ramp, 255)])
    banded = smooth.copy()
    banded[..., :3] = banded[..., :3] // 16 * 16
    assert measures(smooth)[Measure.BANDING] < 0.03 < 0.05 < measures(banded)[Measure.BANDING]


def test_a_smooth_picture_from_a_poor_jpeg_stands_in_blocks() -> None:
    height, width = np.indices((128, 128)).astype(float)
    wave = 128 + 60 * np.sin(height / 9) * np.cos(width / 13)
    plain = np.dstack([wave, 0.8 * wave, 0.6 * wave, np.full_like(wave, 255)]).astype(np.uint8)
    rng = np.random.default_rng(0)
    pictures = [plain, *(pixel_defects.jpeg_blocks(plain, severity, rng) for severity in (1, 3))]
    steps = [measures(picture)[Measure.BLOCKINESS] for picture in pictures]
    assert steps == sorted(steps)
    assert steps[0] < 0.1 < steps[2]


def test_noise_reads_as_the_sigma_that_was_added() -> None:
    grey = filled((120, 120, 120, 255))
    grain = np.random.default_rng(3).normal(0, 10, (64, 64, 3))
    grey[..., :3] = np.clip(np.rint(grey[..., :3] + grain), 0, 255)
    assert measures(grey)[Measure.NOISE] == pytest.approx(10 / 255, rel=0.1)


def test_shading_and_edges_are_no_blotches() -> None:
    measured = [measures(pixels)[Measure.BLOTCHES] for _, pixels in clean()]
    assert max(measured) < 0.06


@pytest.mark.parametrize("seed", range(60_091_000, 60_091_006))
def test_encoding_a_picture_again_does_not_change_its_verdict(seed: int) -> None:
    for pixels in (
        drawn(seed).pixels,
        pixel_defects.blur(drawn(seed).pixels, 2, np.random.default_rng()),
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True, compress_level=9)
        again = decode_or_none(file.getvalue())
        first = decode_or_none(png_bytes(pixels, text={"prompt": "a red sword"}))
        assert first is not None
        assert again is not None
        assert judge(measures(again), RULES) == judge(measures(first), RULES)


def test_no_measure_minds_a_picture_of_one_pixel() -> None:
    pixel = np.full((1, 1, 4), 255, np.uint8)
    assert all(0 <= value <= 1 for value in measures(pixel).values())
