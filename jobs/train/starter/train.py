"""Trains the starter model from nothing: draw, learn, score, write.

The stages follow in the order they run, each in a function; `train` is the whole flow. A stage
whose output exists for the same settings is not repeated, and the generator's continues from its
last checkpoint. The judges and the decoder are trained in a second process at the same time.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKL

from app.check.agreement import Critic
from app.models.bundled import FOLDERS
from app.settings import Settings
from jobs.train.starter import data, flow_matching, sampling
from jobs.train.starter import vae as vaes
from jobs.train.starter.captions import TEMPLATES, vocabulary
from jobs.train.starter.card import write_cards
from jobs.train.starter.evaluation import Evaluation, evaluate, plain_labels, plain_prompts
from jobs.train.starter.judges import load_classifier, make_classifier, make_critic
from jobs.train.starter.publish import model_version, replace_folder, save_parts
from jobs.train.starter.recipe import Recipe
from jobs.train.starter.score import calibrated
from jobs.train.starter.sheet import save_sheet
from jobs.train.starter.stages import ProgressLog, StageCache, say
from jobs.train.starter.tokenizer import build_tokenizer
from jobs.train.starter.transformer import Generator


def train(
    recipe: Recipe, stages: StageCache, out: Path, device: torch.device, processes: int
) -> None:
    """Runs all stages; writes the model into `out` and its critic beside it."""
    drawings = draw_sets(recipe, stages, processes)
    vae = train_vae(recipe, stages, drawings, device)
    latents = encode_sets(stages, drawings, vae, device)
    with run_side_stages(recipe, stages, drawings, vae, latents, device):
        generator = train_generator(recipe, stages, latents, vae, device)
    critic = train_critic(recipe, stages, drawings, vae, device)
    referee = train_referee(recipe, stages, drawings, vae, device)
    decoder = tune_decoder(recipe, stages, drawings, vae, latents, device)
    parts = assemble(recipe, stages, generator, decoder)
    scores = score(recipe, stages, parts, critic, referee, drawings, device)
    publish(recipe, parts, critic, scores, out)


def draw_sets(recipe: Recipe, stages: StageCache, processes: int) -> Path:
    """Returns the folder of the training, validation, calibration and fresh sets of drawings.

    Each set has seeds of its own.
    """
    sets = recipe.drawings
    counts = {
        "training": (sets.training, data.TRAINING),
        "validation": (sets.validation, data.VALIDATION),
        "calibration": (sets.calibration, data.CALIBRATION),
        "fresh": (sets.fresh, data.FRESH),
    }

    def make(folder: Path) -> None:
        for name, (count, first_seed) in counts.items():
            drawn = data.render(count, first_seed, processes=processes if count > 5000 else 1)
            data.save(drawn, folder / f"{name}.npz")

    return stages.run("drawings", sets, make)


def train_vae(recipe: Recipe, stages: StageCache, drawings: Path, device: torch.device) -> Path:
    """Returns the folder of the trained autoencoder; its latents are scaled to unit spread."""

    def make(folder: Path) -> None:
        pixels = data.load(drawings / "training.npz").pixels
        vae = vaes.build_vae(recipe.vae)
        vaes.train_vae(vae, pixels, recipe.vae, device, ProgressLog("vae"))
        vaes.normalise_latents(vae, pixels[:1920], device)
        say(f"vae: {_held_out_psnr(vae, drawings, device):.2f} dB on held-out drawings")
        vae.save_pretrained(folder)

    return stages.run("vae", recipe.vae, make, after=[drawings])


def encode_sets(stages: StageCache, drawings: Path, vae: Path, device: torch.device) -> Path:
    """Returns the folder of the latents of training and validation drawings."""

    def make(folder: Path) -> None:
        encoder = AutoencoderKL.from_pretrained(vae).to(device)
        for name in ("training", "validation"):
            drawn = data.load(drawings / f"{name}.npz")
            np.save(folder / f"{name}.npy", vaes.encode(encoder, drawn.pixels, device))
            np.save(folder / f"{name}-labels.npy", drawn.labels)

    return stages.run("latents", {}, make, after=[drawings, vae])


@contextmanager
def run_side_stages(
    recipe: Recipe,
    stages: StageCache,
    drawings: Path,
    vae: Path,
    latents: Path,
    device: torch.device,
) -> Iterator[None]:
    """Trains the judges and tunes the decoder in a second process of low priority meanwhile.

    If that process fails, the stages run again in this process afterwards and raise the error.
    """
    arguments = (recipe, stages, drawings, vae, latents, device)
    process = get_context("spawn").Process(target=_side_stages, args=arguments, daemon=True)
    process.start()
    try:
        yield
        process.join()
    finally:
        process.terminate()


def _side_stages(
    recipe: Recipe,
    stages: StageCache,
    drawings: Path,
    vae: Path,
    latents: Path,
    device: torch.device,
) -> None:
    os.nice(10)
    torch.set_num_threads(1)
    train_critic(recipe, stages, drawings, vae, device)
    train_referee(recipe, stages, drawings, vae, device)
    tune_decoder(recipe, stages, drawings, vae, latents, device)


def train_critic(
    recipe: Recipe, stages: StageCache, drawings: Path, vae: Path, device: torch.device
) -> Path:
    """Returns the folder of the critic that ships, with its threshold."""
    settings = {"judges": asdict(recipe.judges), "words": list(vocabulary())}

    def make(folder: Path) -> None:
        training = data.load(drawings / "training.npz")
        calibration = data.load(drawings / "calibration.npz")
        softener = AutoencoderKL.from_pretrained(vae)
        make_critic(folder, training, calibration, softener, recipe.judges, device)

    return stages.run("judges", settings, make, after=[drawings, vae])


def train_referee(
    recipe: Recipe, stages: StageCache, drawings: Path, vae: Path, device: torch.device
) -> Path:
    """Returns the folder of the classifier that scores."""

    def make(folder: Path) -> None:
        training = data.load(drawings / "training.npz")
        softener = AutoencoderKL.from_pretrained(vae)
        make_classifier(folder, training, softener, recipe.judges, device)

    return stages.run("referee", recipe.judges, make, after=[drawings, vae])


def tune_decoder(
    recipe: Recipe,
    stages: StageCache,
    drawings: Path,
    vae: Path,
    latents: Path,
    device: torch.device,
) -> Path:
    """Returns the folder of the autoencoder with a decoder tuned for slightly noisy latents."""

    def make(folder: Path) -> None:
        pixels = data.load(drawings / "training.npz").pixels
        tuned = AutoencoderKL.from_pretrained(vae)
        encoded = np.load(latents / "training.npy")
        vaes.tune_decoder(tuned, pixels, encoded, recipe.tuning, device, ProgressLog("decoder"))
        say(f"decoder: {_held_out_psnr(tuned, drawings, device):.2f} dB on held-out drawings")
        tuned.save_pretrained(folder)

    return stages.run("decoder", recipe.tuning, make, after=[vae, latents])


def _held_out_psnr(vae: AutoencoderKL, drawings: Path, device: torch.device) -> float:
    pixels = data.load(drawings / "validation.npz").pixels
    return vaes.psnr(vaes.decode(vae, vaes.encode(vae, pixels, device), device), pixels)


def train_generator(
    recipe: Recipe, stages: StageCache, latents: Path, vae: Path, device: torch.device
) -> Path:
    """Returns the folder of the trained transformer and text encoders, trained together.

    Writes a sheet of samples at intervals.
    """
    settings = {
        "transformer": asdict(recipe.transformer),
        "flow": asdict(recipe.flow),
        "words": list(vocabulary()),
        "templates": [list(template) for template in TEMPLATES],
    }

    def make(folder: Path) -> None:
        tokenizer = build_tokenizer(vocabulary())
        decoder = AutoencoderKL.from_pretrained(vae).to(device)
        prompts = plain_prompts(plain_labels(80))

        def preview(generator: Generator, step: int) -> None:
            if step % recipe.preview_every == 0:
                pipe = sampling.pipeline(generator, decoder, tokenizer)
                made = sampling.sample(pipe, prompts, range(80), steps=8, guidance=3.0)
                save_sheet(made, 16, stages.folder / f"preview-{step:06d}.png")

        trained = flow_matching.train(
            Generator(recipe.transformer, tokenizer),
            tokenizer,
            _load_latents(latents, "training"),
            _load_latents(latents, "validation"),
            recipe.flow,
            checkpoint=folder / "checkpoint.pt",
            device=device,
            report=ProgressLog("generator"),
            preview=preview,
        )
        torch.save(trained.state_dict(), folder / "generator.pt")

    return stages.run("generator", settings, make, after=[latents])


def _load_latents(folder: Path, name: str) -> flow_matching.LatentSet:
    labels = np.load(folder / f"{name}-labels.npy")
    return flow_matching.LatentSet(np.load(folder / f"{name}.npy"), labels)


def assemble(recipe: Recipe, stages: StageCache, generator: Path, decoder: Path) -> Path:
    """Returns the standard pipeline folder in half precision."""

    def make(folder: Path) -> None:
        tokenizer = build_tokenizer(vocabulary())
        trained = Generator(recipe.transformer, tokenizer)
        trained.load_state_dict(
            torch.load(generator / "generator.pt", map_location="cpu", weights_only=True)
        )
        save_parts(trained, AutoencoderKL.from_pretrained(decoder), tokenizer, folder)

    return stages.run("parts", {"precision": "float16"}, make, after=[generator, decoder])


def score(
    recipe: Recipe,
    stages: StageCache,
    parts: Path,
    critic: Path,
    referee: Path,
    drawings: Path,
    device: torch.device,
) -> Path:
    """Returns the folder of the scores and sheets; the model is loaded as a user loads it."""

    def make(folder: Path) -> None:
        calibration = data.load(drawings / "calibration.npz")
        judges = load_classifier(referee), Critic.load(critic / "critic")
        panel = calibrated(*judges, calibration)
        fresh = data.load(drawings / "fresh.npz")
        evaluation = evaluate(parts, panel, fresh, recipe.scores, device, folder)
        (folder / "scores.json").write_text(evaluation.model_dump_json(indent=2), "utf-8")

    return stages.run("scores", recipe.scores, make, after=[parts, critic, referee, drawings])


def publish(recipe: Recipe, parts: Path, critic: Path, scores: Path, out: Path) -> None:
    """Writes parts, sheet, version and cards into `out` and the critic beside it; replaces both."""
    result = Evaluation.model_validate_json((scores / "scores.json").read_text("utf-8"))
    replace_folder(parts, out)
    replace_folder(critic / "critic", out.parent / "critic")
    shutil.copy(scores / "sheet.png", out / "sheet.png")
    version = model_version(out, result, recipe.scores)
    (out / "version.json").write_text(version.model_dump_json(indent=2) + "\n", "utf-8")
    write_cards(out, out.parent / "critic", version, result, recipe)
    kind, share = result.plain.weakest
    say(
        f"strict {result.plain.strict:.3f}, weakest {kind} {share:.2f}, "
        f"guidance {result.guidance:g}"
    )
    say(f"{version.reference} stands in {out}, weights {version.weights_digest}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    work = options.work or Settings().home / "train-starter"
    stages = StageCache(work, resume=options.resume)
    train(_recipe(options), stages, options.out, device, options.processes)
    return 0


def _recipe(options: argparse.Namespace) -> Recipe:
    """Returns the recipe with the numbers from the options; --tiny has its own."""
    if options.tiny:
        return Recipe.tiny()
    own = Recipe()
    return replace(
        own,
        drawings=replace(own.drawings, training=options.drawings),
        vae=replace(own.vae, samples=options.vae_samples),
        flow=replace(own.flow, samples=options.samples, batch=options.batch),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs dev train-starter",
        description="Train the starter model from nothing: draw, learn, score, write.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add, own = parser.add_argument, Recipe()
    add("--out", type=Path, default=FOLDERS["starter"], help="the model's folder")
    add("--work", type=Path, help="where stages stand; unless given ATELIER_HOME/train-starter")
    add("--drawings", type=int, default=own.drawings.training, help="training drawings")
    add("--vae-samples", type=int, default=own.vae.samples, help="what the VAE learns from")
    add("--samples", type=int, default=own.flow.samples, help="what the generator learns from")
    add("--batch", type=int, default=own.flow.batch, help="samples per step of the generator")
    add("--threads", type=int, default=1, help="threads of the training process")
    add("--processes", type=int, default=2, help="processes that draw")
    add("--device", help="cpu or cuda; unless given a GPU where there is one")
    add("--tiny", action="store_true", help="every stage in seconds; the pictures mean nothing")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep finished stages and go on from checkpoints",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
