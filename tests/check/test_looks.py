"""The looks that ship: what they answer of drawings nobody trained them on."""

from pathlib import Path

import numpy as np
import pytest

from app.check.agreement import Critic
from app.check.judge import judge
from app.check.limits import LIMITS
from app.check.looks import APPEARANCE_MEASURES, AppearanceModel
from app.check.planes import premultiplied
from app.check.scores import score_image
from app.errors import ModelNotFound
from app.models.bundled import FOLDERS
from app.types import GenerationRequest, Kind, Measure
from jobs.train.defects import pixels
from jobs.train.defects.semantic import other_style
from jobs.train.defects.sources import GoodImage, drawn
from tests.check.sample_drawings import Pixels

STARTER = FOLDERS["starter"].parent
GOOD = [drawn(seed) for seed in range(60_095_000, 60_095_060)]
RULES = tuple(rule for rule in LIMITS[Kind.ICON] if rule.check in APPEARANCE_MEASURES)


@pytest.fixture(scope="module")
def looks() -> AppearanceModel:
    return AppearanceModel.load(STARTER / "looks")


def broken(looks: AppearanceModel, pixels: Pixels, prompt: str) -> set[Measure]:
    report = judge(looks.measures(premultiplied(pixels), prompt), RULES)
    return {finding.check for finding in report.findings}


def test_the_critic_that_ships_has_looks_beside_it_and_another_has_none(tmp_path: Path) -> None:
    (tmp_path / "critic").symlink_to(STARTER / "critic")
    request = GenerationRequest(
        prompt=GOOD[0].prompt, width=64, height=64, num_inference_steps=1, guidance_scale=0
    )
    ours, bare = Critic.load(STARTER / "critic"), Critic.load(tmp_path / "critic")
    given = [
        score_image(GOOD[0].pixels, request, critic, prompt=request.prompt)
        for critic in (ours, bare)
    ]
    assert {*given[0]} - {*given[1]} == {*APPEARANCE_MEASURES}
    assert all(0 <= given[0][measure] <= 1 for measure in APPEARANCE_MEASURES)


def test_hardly_a_good_drawing_is_refused(looks: AppearanceModel) -> None:
    refused = [good.seed for good in GOOD if broken(looks, good.pixels, good.prompt)]
    assert len(refused) <= 1


def test_the_same_picture_has_the_same_answers_and_clear_colours_play_no_part(
    looks: AppearanceModel,
) -> None:
    good = GOOD[3]
    repainted = good.pixels.copy()
    repainted[good.pixels[..., 3] == 0, :3] = 77
    answers = [
        looks.measures(premultiplied(pixels), good.prompt)
        for pixels in (good.pixels, GOOD[4].pixels, good.pixels, repainted)
    ]
    assert answers[0] == answers[2] == answers[3] != answers[1]


def test_another_style_than_the_prompt_names_is_found(looks: AppearanceModel) -> None:
    asked = [other_style(good.label, 2) for good in GOOD if good.label is not None]
    refused = [
        Measure.STYLE in broken(looks, good.pixels, prompt)
        for good, prompt in zip(GOOD, asked, strict=True)
    ]
    assert np.mean(refused) >= 0.95


def test_no_style_named_is_any_style_and_several_are_one_of_them(looks: AppearanceModel) -> None:
    seen = premultiplied(GOOD[0].pixels)
    assert looks.measures(seen, "a red sword")[Measure.STYLE] == 1
    each = [
        looks.measures(seen, f"a {style} red sword")[Measure.STYLE]
        for style in ("flat", "cartoon", "shaded")
    ]
    assert sum(each) == pytest.approx(1)
    some = looks.measures(seen, "a flat cartoon red sword")[Measure.STYLE]
    assert some == pytest.approx(max(each[:2]))
    assert looks.measures(seen, "an outlined red sword")[Measure.STYLE] == each[1]


def test_the_likeliest_colour_counts_where_none_is_named(looks: AppearanceModel) -> None:
    good = next(good for good in GOOD if good.label is not None and good.label.colour == "red")
    seen = premultiplied(good.pixels)
    none, red, blue = (
        looks.measures(seen, prompt)[Measure.ON_MODEL]
        for prompt in ("a sword", "a red sword", "a blue sword")
    )
    assert none == red > 0.5 > blue


@pytest.mark.parametrize(
    ("defect", "measure"),
    [
        (pixels.off_centre, Measure.COMPOSITION),
        (pixels.too_small, Measure.COMPOSITION),
        (pixels.too_large, Measure.COMPOSITION),
        (pixels.cut_through, Measure.COMPOSITION),
        (pixels.blur, Measure.CRISP),
        (pixels.palette_drift, Measure.ON_MODEL),
    ],
)
def test_the_graver_the_defect_the_less_likely_the_picture(
    looks: AppearanceModel, defect: pixels.Defect, measure: Measure
) -> None:
    coloured = [g for g in GOOD if g.label is not None and g.label.colour not in ("white", "black")]

    def mean(severity: int) -> float:
        return float(np.mean([answer(good, severity) for good in coloured]))

    def answer(good: GoodImage, severity: int) -> float:
        rng = np.random.default_rng([good.seed, severity])
        spoilt = defect(good.pixels, severity, rng) if severity else good.pixels
        return looks.measures(premultiplied(spoilt), good.prompt)[measure]

    clean, mild, grave = mean(0), mean(1), mean(3)
    assert clean > mild > grave
    assert clean > 0.8 > 0.3 > grave


def test_a_folder_without_weights_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    (tmp_path / "critic").symlink_to(STARTER / "critic")
    with pytest.raises(ModelNotFound, match=r"looks.*python -m jobs dev train-looks"):
        Critic.load(tmp_path / "critic")
