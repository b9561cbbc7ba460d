"""Training the starter model: its laws at tiny size, then the whole command once."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import JointAttnProcessor2_0

from app.models.bundled import read_version, weights_digest
from jobs.train.loop import RunOptions
from jobs.train.stages import ProgressLog, StageCache
from jobs.train.starter import data, flow_matching
from jobs.train.starter import vae as vaes
from jobs.train.starter.captions import NEUTRAL, vocabulary
from jobs.train.starter.drawings import KINDS, all_labels
from jobs.train.starter.recipe import Recipe
from jobs.train.starter.tokenizer import build_tokenizer
from jobs.train.starter.train import main
from jobs.train.starter.transformer import Generator

CPU = torch.device("cpu")
RECIPE = Recipe.tiny()
WORDS = ["a", "red", "sword"]


class Stopped(Exception):
    """Stands for a kill in the middle of training."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_generator() -> Generator:
    """A generator whose zeroed layers are not zero, so that everything matters."""
    generator = Generator(RECIPE.transformer, build_tokenizer(WORDS))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return generator.eval()


def trained(checkpoint: Path, preview: Callable[[Generator, int], None]) -> Generator:
    """Four steps on noise instead of drawings, with a checkpoint after each."""
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((16, 16, 8, 8), dtype=np.float32)
    labels = np.arange(16) * 30 % len(all_labels())
    latent_set = flow_matching.LatentSet(latents, labels)
    tokenizer = build_tokenizer(vocabulary())
    return flow_matching.train(
        Generator(RECIPE.transformer, tokenizer),
        tokenizer,
        latent_set,
        latent_set,
        RECIPE.flow,
        RunOptions(CPU, ProgressLog("test"), checkpoint, checkpoint_seconds=0),
        preview,
    )


def test_a_stopped_and_continued_training_gives_the_same_weights(tmp_path: Path) -> None:
    def stop(_: Generator, step: int) -> None:
        if step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        trained(tmp_path / "a.pt", stop)
    continued = trained(tmp_path / "a.pt", lambda *_: None)
    straight = trained(tmp_path / "b.pt", lambda *_: None)
    pairs = zip(continued.state_dict().items(), straight.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for (_, value), other in pairs)


@pytest.mark.parametrize("count", [1, 7, 256])
def test_one_weighted_null_token_stands_for_many_equal_ones(count: int) -> None:
    generator = random_generator()
    torch.manual_seed(1)
    latents, times = torch.randn(2, 16, 8, 8), torch.tensor([0.3, 0.8])
    ids = flow_matching.token_ids(build_tokenizer(WORDS), ["a red sword", ""])
    with torch.inference_mode():
        ours = generator(latents, times, ids, null_weight=count)
        embeddings, pooled = generator.condition(ids)
        padded = torch.cat([embeddings, torch.zeros(2, count - 1, embeddings.shape[-1])], dim=1)
        generator.transformer.set_attn_processor(JointAttnProcessor2_0())
        stock = generator.transformer(latents, padded, pooled, times * 1000, return_dict=False)[0]
    assert torch.allclose(ours, stock, atol=1e-5)


def test_the_generator_starts_as_the_zero_velocity() -> None:
    generator = Generator(RECIPE.transformer, build_tokenizer(WORDS))
    ids = flow_matching.token_ids(build_tokenizer(WORDS), ["a red sword"])
    velocity = generator(torch.randn(1, 16, 8, 8), torch.tensor([0.5]), ids, null_weight=1)
    assert velocity.abs().max() == 0


def test_the_autoencoder_starts_with_the_right_colours() -> None:
    pixels = data.render(8, 0).pixels
    vae = vaes.build_vae(vaes.VaeSettings())
    made = vaes.to_pixels(
        vae.decode(torch.from_numpy(vaes.encode(vae, pixels, CPU, raw=True))).sample
    )
    seen = (pixels[..., 3] > 250).all(axis=0)
    difference = made.astype(float).mean(axis=(1, 2)) - pixels.astype(float).mean(axis=(1, 2))
    assert seen.any()
    assert np.abs(difference).mean() < 40
    assert vaes.psnr(made, pixels) > 10


def test_normalised_latents_have_unit_spread_and_reconstruct_the_same() -> None:
    pixels = data.render(12, 0).pixels
    vae = vaes.build_vae(vaes.VaeSettings())
    before = vaes.to_pixels(
        vae.decode(torch.from_numpy(vaes.encode(vae, pixels, CPU, raw=True))).sample
    )
    vaes.normalise_latents(vae, pixels, CPU)
    latents = vaes.encode(vae, pixels, CPU)
    after = vaes.decode(vae, latents, CPU)
    assert latents.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(before.astype(int) - after.astype(int)).max() <= 1


def test_a_finished_stage_is_kept_and_other_settings_make_another(tmp_path: Path) -> None:
    stages, made = StageCache(tmp_path), []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "out").write_text("x")

    first = stages.run("draw", {"count": 1}, make)
    assert stages.run("draw", {"count": 1}, make) == first
    second = stages.run("draw", {"count": 2}, make)
    assert stages.run("learn", {}, make, after=[first]) != stages.run("learn", {}, make, [second])
    assert len(made) == 4


def test_a_stage_that_dies_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    stages = StageCache(tmp_path)

    def die(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise Stopped

    with pytest.raises(Stopped):
        stages.run("draw", {}, die)
    assert not stages.path("draw", {}).exists()
    seen: list[bool] = []
    stages.run("draw", {}, lambda folder: seen.append((folder / "half").exists()))
    assert seen == [True]


def test_hard_kinds_are_drawn_more_often() -> None:
    labels = np.arange(len(all_labels()))
    weights = np.where(np.array(KINDS) == "bow", 2.0, 0.5)
    rng = np.random.default_rng(0)
    chosen = flow_matching._choose(labels, weights, 4000, rng)
    share = np.mean([all_labels()[i].kind == "bow" for i in chosen])
    assert share == pytest.approx(2 / (2 + 15 * 0.5), abs=0.03)


@pytest.mark.slow
def test_the_command_writes_a_folder_that_describes_itself_and_is_not_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models" / "icons"
    command = ["--tiny", "--device", "cpu", "--out", str(out), "--work", str(tmp_path / "work")]
    assert main(command) == 0
    version = read_version(out)
    assert version.weights_digest == weights_digest(out)
    assert set(version.vocabulary) == {*vocabulary(), *NEUTRAL}
    assert (out / "sheet.png").exists()
    assert version.weights_digest in (out / "README.md").read_text()
    assert (out.parent / "critic" / "README.md").exists()
    assert json.loads((out / "model_index.json").read_text())["text_encoder_3"] == [None, None]
    capsys.readouterr()
    assert main(command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if ": done in" in line]
    assert read_version(out) == version
