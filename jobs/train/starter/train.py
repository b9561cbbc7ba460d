"""Trains the starter model from scratch: drawings, training, scores, the folder.

The stages follow in the order they run, each in a function; `train` runs all of them. A stage whose
output exists for the same settings is not repeated, and the generator's continues from its last
checkpoint. Critic, classifier and decoder are trained in a second process at the same time.
"""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKL

from app.check.agreement import Critic
from app.models.bundled import FOLDERS
from jobs.train.loop import RunOptions
from jobs.train.options import add_run_options, stage_cache, training_parser
from jobs.train.stages import ProgressLog, StageCache, say
from jobs.train.starter import data, flow_matching, sampling
from jobs.train.starter import vae as vaes
from jobs.train.starter.captions import TEMPLATES, vocabulary
from jobs.train.starter.card import write_cards
from jobs.train.starter.evaluation import Evaluation, evaluate, plain_labels, plain_prompts
from jobs.train.starter.judges import load_classifier, make_classifier, make_critic
from jobs.train.starter.publish import model_version, replace_folder, save_parts
from jobs.train.starter.recipe import Recipe
from jobs.train.starter.score import calibrated
from jobs.train.starter.tokenizer import build_tokenizer
from jobs.train.starter.transformer import Generator


@dataclass(frozen=True, slots=True)
class StarterRun:
    """What every stage needs: the recipe, the cache of the stages, and the device."""

    recipe: Recipe
    stages: StageCache
    device: torch.device


def train(run: StarterRun, out: Path, processes: int) -> None:
    """Runs all stages; writes the model into `out` and its critic beside it."""
    drawings = draw_sets(run, processes)
    vae = train_vae(run, drawings)
    latents = encode_sets(run, drawings, vae)
    with side_process(run, drawings, vae, latents):
        generator = train_generator(run, latents, vae)
    critic = train_critic(run, drawings, vae)
    classifier = train_classifier(run, drawings, vae)
    decoder = tune_decoder(run, drawings, vae, latents)
    parts = assemble(run, generator, decoder)
    scores = score(run, parts, critic, classifier, drawings)
    publish(run.recipe, parts, critic, scores, out)


def draw_sets(run: StarterRun, processes: int) -> Path:
    """Returns the folder of the training, validation, calibration and fresh sets of drawings.

    Each set has its own seeds.
    """
    sets = run.recipe.drawings
    counts = {
        "training": (sets.training, data.TRAINING),
        "validation": (sets.validation, data.VALIDATION),
        "calibration": (sets.calibration, data.CALIBRATION),
        "fresh": (sets.fresh, data.FRESH),
    }

    def make(folder: Path) -> None:
        for name, (count, first_seed) in counts.items():
            drawings = data.render(count, first_seed, processes=processes if count > 5000 else 1)
            data.save(drawings, folder / f"{name}.npz")

    return run.stages.run("drawings", sets, make)


def train_vae(run: StarterRun, drawings: Path) -> Path:
    """Returns the folder of the trained autoencoder; its latents are scaled to unit spread."""
    settings, device = run.recipe.vae, run.device

    def make(folder: Path) -> None:
        pixels = data.load(drawings / "training.npz").pixels
        vae = vaes.build_vae(settings)
        vaes.train_vae(vae, pixels, settings, RunOptions(device, ProgressLog("vae")))
        vaes.normalise_latents(vae, pixels[:1920], device)
        say(f"vae: {_held_out_psnr(vae, drawings, device):.2f} dB on held-out drawings")
        vae.save_pretrained(folder)

    return run.stages.run("vae", settings, make, after=[drawings])


def encode_sets(run: StarterRun, drawings: Path, vae: Path) -> Path:
    """Returns the folder of the latents of training and validation drawings."""

    def make(folder: Path) -> None:
        encoder = AutoencoderKL.from_pretrained(vae).to(run.device)
        for name in ("training", "validation"):
            part = data.load(drawings / f"{name}.npz")
            np.save(folder / f"{name}.npy", vaes.encode(encoder, part.pixels, run.device))
            np.save(folder / f"{name}-labels.npy", part.labels)

    return run.stages.run("latents", {}, make, after=[drawings, vae])


@contextmanager
def side_process(run: StarterRun, drawings: Path, vae: Path, latents: Path) -> Iterator[None]:
    """Trains critic, classifier and decoder in a second process of low priority meanwhile.

    If that process fails, the stages run again in this process afterwards and raise the error.
    """
    arguments = (run, drawings, vae, latents)
    process = get_context("spawn").Process(target=_side_stages, args=arguments, daemon=True)
    process.start()
    try:
        yield
        process.join()
    finally:
        process.terminate()


def _side_stages(run: StarterRun, drawings: Path, vae: Path, latents: Path) -> None:
    os.nice(10)
    torch.set_num_threads(1)
    train_critic(run, drawings, vae)
    train_classifier(run, drawings, vae)
    tune_decoder(run, drawings, vae, latents)


def train_critic(run: StarterRun, drawings: Path, vae: Path) -> Path:
    """Returns the folder of the critic that ships, with its threshold."""
    judges = run.recipe.judges
    settings = {"judges": asdict(judges), "words": list(vocabulary())}

    def make(folder: Path) -> None:
        training = data.load(drawings / "training.npz")
        calibration = data.load(drawings / "calibration.npz")
        autoencoder = AutoencoderKL.from_pretrained(vae)
        make_critic(folder, training, calibration, autoencoder, judges, run.device)

    return run.stages.run("judges", settings, make, after=[drawings, vae])


def train_classifier(run: StarterRun, drawings: Path, vae: Path) -> Path:
    """Returns the folder of the classifier that scores."""
    judges = run.recipe.judges

    def make(folder: Path) -> None:
        training = data.load(drawings / "training.npz")
        autoencoder = AutoencoderKL.from_pretrained(vae)
        make_classifier(folder, training, autoencoder, judges, run.device)

    return run.stages.run("referee", judges, make, after=[drawings, vae])


def tune_decoder(run: StarterRun, drawings: Path, vae: Path, latents: Path) -> Path:
    """Returns the folder of the autoencoder with a decoder tuned for slightly noisy latents."""
    settings, device = run.recipe.tuning, run.device

    def make(folder: Path) -> None:
        pixels = data.load(drawings / "training.npz").pixels
        tuned = AutoencoderKL.from_pretrained(vae)
        encoded = np.load(latents / "training.npy")
        options = RunOptions(device, ProgressLog("decoder"))
        vaes.tune_decoder(tuned, pixels, encoded, settings, options)
        say(f"decoder: {_held_out_psnr(tuned, drawings, device):.2f} dB on held-out drawings")
        tuned.save_pretrained(folder)

    return run.stages.run("decoder", settings, make, after=[vae, latents])


def _held_out_psnr(vae: AutoencoderKL, drawings: Path, device: torch.device) -> float:
    pixels = data.load(drawings / "validation.npz").pixels
    return vaes.psnr(vaes.decode(vae, vaes.encode(vae, pixels, device), device), pixels)


def train_generator(run: StarterRun, latents: Path, vae: Path) -> Path:
    """Returns the folder of the trained transformer and text encoders, trained together.

    Writes a sheet of samples at intervals.
    """
    recipe, device = run.recipe, run.device
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
                images = sampling.sample(pipe, prompts, range(80), steps=8, guidance=3.0)
                data.save_sheet(images, 16, run.stages.folder / f"preview-{step:06d}.png")

        trained = flow_matching.train(
            Generator(recipe.transformer, tokenizer),
            tokenizer,
            _load_latents(latents, "training"),
            _load_latents(latents, "validation"),
            recipe.flow,
            RunOptions(device, ProgressLog("generator"), folder / "checkpoint.pt"),
            preview,
        )
        torch.save(trained.state_dict(), folder / "generator.pt")

    return run.stages.run("generator", settings, make, after=[latents])


def _load_latents(folder: Path, name: str) -> flow_matching.LatentSet:
    labels = np.load(folder / f"{name}-labels.npy")
    return flow_matching.LatentSet(np.load(folder / f"{name}.npy"), labels)


def assemble(run: StarterRun, generator: Path, decoder: Path) -> Path:
    """Returns the standard pipeline folder in half precision."""

    def make(folder: Path) -> None:
        tokenizer = build_tokenizer(vocabulary())
        trained = Generator(run.recipe.transformer, tokenizer)
        trained.load_state_dict(
            torch.load(generator / "generator.pt", map_location="cpu", weights_only=True)
        )
        save_parts(trained, AutoencoderKL.from_pretrained(decoder), tokenizer, folder)

    return run.stages.run("parts", {"precision": "float16"}, make, after=[generator, decoder])


def score(run: StarterRun, parts: Path, critic: Path, classifier: Path, drawings: Path) -> Path:
    """Returns the folder of the scores and sheets; the model is loaded as a user loads it."""
    settings = run.recipe.scores

    def make(folder: Path) -> None:
        calibration = data.load(drawings / "calibration.npz")
        judges = calibrated(
            load_classifier(classifier), Critic.load(critic / "critic"), calibration
        )
        fresh = data.load(drawings / "fresh.npz")
        evaluation = evaluate(parts, judges, fresh, settings, run.device, folder)
        (folder / "scores.json").write_text(evaluation.model_dump_json(indent=2), "utf-8")

    return run.stages.run("scores", settings, make, after=[parts, critic, classifier, drawings])


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
        f"strict score {result.plain.strict:.3f}, weakest kind {kind} {share:.2f}, "
        f"guidance {result.guidance:g}"
    )
    say(f"{version.reference} written to {out}, weights {version.weights_digest}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    run = StarterRun(_recipe(options), stage_cache(options), options.device)
    train(run, options.out, options.processes)
    return 0


def _recipe(options: argparse.Namespace) -> Recipe:
    """Returns the recipe with the numbers from the options; --tiny has its own."""
    if options.tiny:
        return Recipe.tiny()
    recipe = Recipe()
    return replace(
        recipe,
        drawings=replace(recipe.drawings, training=options.drawings),
        vae=replace(recipe.vae, samples=options.vae_samples),
        flow=replace(recipe.flow, samples=options.samples, batch=options.batch),
    )


def _parser() -> argparse.ArgumentParser:
    recipe = Recipe()
    parser = training_parser(
        "train-starter",
        "Draw the data, train the starter model and its critic, score them, write the folder.",
        out=FOLDERS["starter"],
    )
    add_run_options(
        parser,
        drawings=recipe.drawings.training,
        samples=recipe.flow.samples,
        batch=recipe.flow.batch,
    )
    add = parser.add_argument
    add("--vae-samples", type=int, default=recipe.vae.samples, help="samples the VAE learns from")
    add("--processes", type=int, default=2, help="processes that draw the training drawings")
    return parser
