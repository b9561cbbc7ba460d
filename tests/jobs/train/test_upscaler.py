"""Training the upscaler: its laws at tiny size, then the whole command once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.digest import digest_file
from app.image.resize import resize
from app.models.bundled import FOLDERS
from app.models.upscaler import WEIGHTS_FILE, UpscalerNetwork, load_upscaler
from app.types import Size
from jobs.train.loop import RunOptions
from jobs.train.stages import ProgressLog
from jobs.train.starter.drawings import KINDS, Pixels, draw
from jobs.train.upscaler import pairs
from jobs.train.upscaler.baselines import bicubic, lanczos, nearest
from jobs.train.upscaler.large import measure_large
from jobs.train.upscaler.learning import (
    LearningSettings,
    Recipe,
    batch,
    fill_all,
    learn,
    validation_loss,
)
from jobs.train.upscaler.likeness import likeness
from jobs.train.upscaler.publish import large_figures_text
from jobs.train.upscaler.train import main

CPU = torch.device("cpu")
RECIPE = Recipe.tiny()


class Stopped(Exception):
    """Stands for a kill in the middle of training."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def drawn(count: int, first_seed: int) -> pairs.Pairs:
    """Pairs whose small sides are all clean: no starter is needed."""
    labels = pairs.labels(count)
    large = np.stack([pairs.draw_large(label, first_seed + i) for i, label in enumerate(labels)])
    clean = np.stack([draw(label, first_seed + i) for i, label in enumerate(labels)])
    return pairs.Pairs(large, clean[:, None].repeat(len(pairs.SOFTENINGS), axis=1), labels)


@pytest.fixture(scope="module")
def sets() -> tuple[pairs.Pairs, pairs.Pairs]:
    return drawn(8, pairs.TRAINING), drawn(3, pairs.VALIDATION)


def trained(
    sets: tuple[pairs.Pairs, pairs.Pairs],
    checkpoint: Path,
    preview: Callable[[UpscalerNetwork, int], None] = lambda *_: None,
    settings: LearningSettings = RECIPE.learning,
) -> UpscalerNetwork:
    """A tiny training with a checkpoint after each step."""
    return learn(
        RECIPE.network,
        *sets,
        settings,
        RunOptions(CPU, ProgressLog("test"), checkpoint, checkpoint_seconds=0),
        preview,
    )


def test_a_stopped_and_continued_training_gives_the_same_weights(
    sets: tuple[pairs.Pairs, pairs.Pairs], tmp_path: Path
) -> None:
    def stop(_: UpscalerNetwork, step: int) -> None:
        if step == RECIPE.learning.evaluate_every:
            raise Stopped

    with pytest.raises(Stopped):
        trained(sets, tmp_path / "a.pt", stop)
    continued = trained(sets, tmp_path / "a.pt")
    straight = trained(sets, tmp_path / "b.pt")
    ways = zip(continued.state_dict().items(), straight.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for (_, value), other in ways)


def test_the_loss_falls(sets: tuple[pairs.Pairs, pairs.Pairs], tmp_path: Path) -> None:
    before = validation_loss(UpscalerNetwork(RECIPE.network), sets[1], CPU)
    longer = replace(RECIPE.learning, samples=480, learning_rate=1e-2, evaluate_every=120)
    network = trained(sets, tmp_path / "a.pt", settings=longer)
    after = validation_loss(network, sets[1], CPU)
    assert after["clean"] < 0.9 * before["clean"]


def test_both_sides_of_a_cut_show_the_same(sets: tuple[pairs.Pairs, pairs.Pairs]) -> None:
    training, seen = sets[0], fill_all(sets[0])
    for seed in range(12):
        small, large = batch(training, seen, RECIPE.learning, np.random.default_rng(seed))
        reduced = torch.nn.functional.avg_pool2d(large[:, 3:], 4)
        assert (reduced - small[:, 3:]).abs().mean() < 0.01


def test_large_drawings_are_those_the_renderer_reduces() -> None:
    for index, label in enumerate(pairs.labels(12)):
        large, small = pairs.draw_large(label, index), draw(label, index)
        reduced = large.astype(float)
        reduced[..., :3] *= reduced[..., 3:] / 255
        reduced = reduced.reshape(64, 4, 64, 4, 4).mean(axis=(1, 3))
        true = small.astype(float)
        true[..., :3] *= true[..., 3:] / 255
        assert np.abs(reduced - true).mean() < 2
        assert len(np.unique(large[..., 3])) > 3


def test_even_short_sets_hold_every_kind_and_no_two_sets_share_a_seed() -> None:
    assert {label.kind for label in pairs.labels(64)} == set(KINDS)
    own = Recipe().pairs
    assert pairs.TRAINING + own.training <= pairs.VALIDATION
    assert pairs.VALIDATION + own.validation <= pairs.HELD_OUT


def test_likeness_puts_ways_of_enlarging_in_their_known_order() -> None:
    labels = pairs.labels(3)
    true = [pairs.draw_large(label, i) for i, label in enumerate(labels)]
    small = [draw(label, i) for i, label in enumerate(labels)]
    same = likeness(true, true)
    assert (same.psnr, same.alpha_error) == (100, 0)
    assert same.ssim == pytest.approx(1, abs=1e-4)
    scores = [likeness([way(picture) for picture in small], true) for way in (nearest, bicubic)]
    assert scores[0].psnr < scores[1].psnr < 100
    assert scores[0].ssim < scores[1].ssim < 1
    assert scores[0].alpha_error > scores[1].alpha_error > 0


def test_lanczos_keeps_flat_colour_and_clear_ground() -> None:
    flat = np.zeros((24, 24, 4), np.uint8)
    flat[:, 12:] = (200, 100, 50, 255)
    enlarged = lanczos(flat)
    assert not enlarged[:, :20].any()
    assert (enlarged[:, 70:] == flat[0, 12]).all()


def test_a_large_picture_is_held_against_its_draft() -> None:
    """Bicubic enlarging keeps the draft; an upscaler that returns grey scores far lower."""
    painted = [draw(label, index) for index, label in enumerate(pairs.labels(2))]
    figures = measure_large(painted, Plain())
    assert figures.pictures == 2
    assert figures.kept["polish, to the draft"].ssim > 0.98
    assert figures.kept["polish, to the draft"] == likeness(shrunk(painted, bicubic), painted)
    assert figures.kept["Lanczos, to the draft"].psnr > 30
    lost = measure_large(painted, Forgetting()).kept
    assert lost["polish, to the draft"].psnr < figures.kept["polish, to the draft"].psnr - 10
    assert lost["Lanczos, to the draft"] == figures.kept["Lanczos, to the draft"]
    assert f"{figures.kept['polish, to Lanczos'].psnr:.2f}" in large_figures_text(figures)


class Plain:
    """Enlarges as the finisher does."""

    def upscale(self, pixels: Pixels) -> Pixels:
        return bicubic(pixels)


class Forgetting:
    """Gives grey, whatever it is shown."""

    def upscale(self, pixels: Pixels) -> Pixels:
        return np.full_like(bicubic(pixels), 128)


def shrunk(painted: list[Pixels], way: Callable[[Pixels], Pixels]) -> list[Pixels]:
    """Enlarged as polish does, and back."""
    quarter = [resize(way(way(picture)), Size(width=512, height=512)) for picture in painted]
    return [resize(way(picture), Size(width=64, height=64)) for picture in quarter]


@pytest.mark.slow
def test_the_command_writes_a_folder_that_describes_itself_and_is_not_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "polish"
    out.mkdir()
    (out / "version.json").write_text("{}")
    command = ["--tiny", "--device", "cpu", "--out", str(out), "--work", str(tmp_path / "work")]
    assert main(command) == 0
    card = (out / "README.md").read_text("utf-8")
    digest = digest_file(out / WEIGHTS_FILE)
    assert digest in card
    assert "**At 2048 x 2048** (1 pictures" in card
    assert "{" not in card.split("```json")[0]
    assert (out / "sheet.png").exists()
    assert (out / "version.json").read_text() == "{}"
    small = draw(pairs.labels(1)[0], 0)
    assert load_upscaler(out, device="cpu").upscale(small).shape == (256, 256, 4)
    capsys.readouterr()
    assert main(command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if ": done in" in line]
    assert digest_file(out / WEIGHTS_FILE) == digest
    assert FOLDERS["starter"].is_dir()
