"""The looks trained at tiny size: the whole flow, the same weights twice, nothing left unsaid."""

from pathlib import Path

import numpy as np
import pytest

from app.check.looks import APPEARANCE_MEASURES, WEIGHTS_FILE, AppearanceModel
from app.check.planes import premultiplied
from app.digest import digest_file
from app.models.bundled import FOLDERS
from jobs.train.defects.sources import WorldPart, drawn, seeds
from jobs.train.looks.learning import Recipe
from jobs.train.looks.pictures import (
    COMPOSITIONS,
    MARKS,
    TINTS,
    PictureSettings,
    apply_defects,
    is_visible,
)
from jobs.train.looks.train import train_looks
from jobs.train.stages import StageCache
from jobs.train.starter.drawings import Label

SHIPPED = FOLDERS["starter"].parent / "looks"


def test_what_is_learned_from_is_neither_held_out_nor_evaluated() -> None:
    own = PictureSettings()
    learned = seeds(WorldPart.TRAINING, own.world)
    held_out = seeds(WorldPart.TRAINING, own.held_out_world)
    assert not {*learned} & {*held_out}
    assert all(seeds(WorldPart.EVALUATION, n)[-1] < learned[0] for n in (0, 99))
    assert max(own.drawn, own.held_out_drawn, own.painted) <= len(learned)


def test_every_defect_that_shows_changes_its_picture() -> None:
    good = drawn(70_000_001)
    rng = np.random.default_rng(1)
    for spoils in (MARKS, COMPOSITIONS, TINTS):
        pictures = [
            apply_defects(good.pixels, spoils, Label("gem", "red", "shaded"), rng)
            for _ in range(12)
        ]
        assert all(
            picture is not None and not np.array_equal(picture, good.pixels) for picture in pictures
        )


def test_bands_need_shading_and_a_drift_of_hue_needs_a_hue() -> None:
    flat_white = Label("gem", "white", "flat")
    assert [is_visible(defect, flat_white) for defect in MARKS] == [
        False,
        *[True] * (len(MARKS) - 1),
    ]
    assert [is_visible(defect, flat_white) for defect in TINTS] == [False, False, True]


def test_what_ships_is_small_and_its_card_speaks_of_these_weights() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 4_000_000
    card = (SHIPPED / "README.md").read_text("utf-8")
    assert digest_file(SHIPPED / WEIGHTS_FILE) in card


@pytest.mark.slow
def test_the_whole_flow_gives_the_same_weights_twice_and_a_card(tmp_path: Path) -> None:
    recipe = Recipe.tiny()
    figures = [
        train_looks(recipe, StageCache(tmp_path / name), tmp_path / f"{name}-looks")
        for name in ("one", "two")
    ]
    assert figures[0] == figures[1]
    first, second = (tmp_path / f"{name}-looks" for name in ("one", "two"))
    for name in (WEIGHTS_FILE, "config.json", "README.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    answers = AppearanceModel.load(first).measures(
        premultiplied(drawn(70_000_001).pixels), "a red gem"
    )
    assert {*answers} == {*APPEARANCE_MEASURES}
    assert {row.defect for row in figures[0].found} >= {"few_steps", "style_mismatch", "too_small"}
