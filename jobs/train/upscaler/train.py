"""Trains the upscaler from scratch: pairs of drawings, training, figures, the folder.

The stages follow in the order they run; `train_upscaler` runs all of them. A stage whose output
exists for the same settings is not repeated, and training continues from its last checkpoint.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from app.models.bundled import FOLDERS, weights_digest
from app.models.upscaler import Upscaler, UpscalerNetwork, load_upscaler
from jobs.train.loop import RunOptions
from jobs.train.options import add_run_options, stage_cache, training_parser
from jobs.train.stages import ProgressLog, StageCache, say
from jobs.train.starter.data import save_sheet
from jobs.train.starter.evaluation import load_pipeline
from jobs.train.upscaler import pairs
from jobs.train.upscaler.baselines import nearest
from jobs.train.upscaler.extensions import write_extensions
from jobs.train.upscaler.figures import Figures, measure, on_sheet, render_pictures
from jobs.train.upscaler.large import LargeFigures, measure_large
from jobs.train.upscaler.learning import Recipe, learn
from jobs.train.upscaler.publish import large_figures_text, save_network, write_folder

OUT = FOLDERS["starter"].parent / "polish"


def train_upscaler(
    recipe: Recipe, stages: StageCache, starter: Path, out: Path, device: torch.device
) -> None:
    """Runs all stages; writes the upscaler of the model in `starter` into `out`."""
    sets = make_pairs(recipe, stages, starter, device)
    network = train_network(recipe, stages, sets, device)
    parts = halve(recipe, stages, network)
    figures = score(recipe, stages, parts, sets, starter, device)
    publish(recipe, parts, figures, starter, out)


def make_pairs(recipe: Recipe, stages: StageCache, starter: Path, device: torch.device) -> Path:
    """Returns the folder of the training, validation and held-out pairs; their seeds differ."""
    own = recipe.pairs
    counts = {
        "training": (own.training, pairs.TRAINING),
        "validation": (own.validation, pairs.VALIDATION),
        "held_out": (own.held_out, pairs.HELD_OUT),
    }

    def make(folder: Path) -> None:
        pipe = load_pipeline(starter, device)
        for name, (count, first_seed) in counts.items():
            report = ProgressLog(name, unit="pairs")
            pairs.save(pairs.make_pairs(count, first_seed, pipe, own, report), folder / name)

    settings = {"pairs": asdict(own), "starter": weights_digest(starter)}
    return stages.run("pairs", settings, make)


def train_network(recipe: Recipe, stages: StageCache, sets: Path, device: torch.device) -> Path:
    """Returns the folder of the trained network; saves preview sheets of validation images."""
    settings = {"network": recipe.network.as_json(), "learning": asdict(recipe.learning)}

    def make(folder: Path) -> None:
        validation = pairs.load(sets / "validation")

        def preview(network: UpscalerNetwork, step: int) -> None:
            _save_preview(network, validation, stages.folder / f"preview-{step:06d}.png")

        trained = learn(
            recipe.network,
            pairs.load(sets / "training"),
            validation,
            recipe.learning,
            RunOptions(device, ProgressLog("upscaler"), folder / "checkpoint.pt"),
            preview,
        )
        torch.save(trained.state_dict(), folder / "network.pt")

    return stages.run("network", settings, make, after=[sets])


def _save_preview(network: UpscalerNetwork, validation: pairs.Pairs, path: Path) -> None:
    """Saves a sheet, two drawings a row: img2img by the starter, enlarged, and the original."""
    upscaler = Upscaler(network)
    images = []
    for index in range(min(12, len(validation))):
        small = validation.small[index, 2]
        images += [nearest(small), upscaler.upscale(small), validation.large[index]]
    save_sheet(np.stack(images), 6, path)


def halve(recipe: Recipe, stages: StageCache, network: Path) -> Path:
    """Returns the folder of the weights in half precision with their config, as they ship."""

    def make(folder: Path) -> None:
        trained = UpscalerNetwork(recipe.network)
        trained.load_state_dict(
            torch.load(network / "network.pt", map_location="cpu", weights_only=True)
        )
        save_network(trained, recipe.network, folder)

    return stages.run("weights", {"precision": "float16"}, make, after=[network])


def score(
    recipe: Recipe, stages: StageCache, parts: Path, sets: Path, starter: Path, device: torch.device
) -> Path:
    """Returns the folder of figures and sheet; the weights are loaded as a user loads them."""

    def make(folder: Path) -> None:
        upscaler = load_upscaler(parts, device=str(device))
        held_out = pairs.load(sets / "held_out")
        figures = measure(upscaler, held_out, starter, recipe.figures, device, folder)
        (folder / "figures.json").write_text(figures.model_dump_json(indent=2), "utf-8")

    return stages.run("figures", recipe.figures, make, after=[parts, sets])


def publish(recipe: Recipe, parts: Path, figures: Path, starter: Path, out: Path) -> None:
    """Writes weights, config, sheet and card into `out`.

    Beside the starter, also writes the versions of two models: polish is the starter with these
    weights, typography is based on polish.
    """
    measured = Figures.model_validate_json((figures / "figures.json").read_text("utf-8"))
    digest = write_folder(
        parts, figures / "sheet.png", measured, recipe, weights_digest(starter), out
    )
    for softening, by_method in measured.likeness.items():
        psnr = {name: likeness.psnr for name, likeness in by_method.items()}
        say(f"{softening}: {psnr['upscaler']:.2f} dB, Lanczos {psnr['Lanczos']:.2f} dB")
    say(f"upscaler written to {out}, weights {digest}")
    if out.parent == starter.parent:
        for version in write_extensions(out, starter, out.parent / "typography"):
            say(f"{version.reference}: {version.weights_digest}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    recipe, starter = _recipe(options), options.starter
    if options.large:
        print(large_figures_text(_large(recipe, starter, options.out, options.device)))
    else:
        train_upscaler(recipe, stage_cache(options), starter, options.out, options.device)
    return 0


def _large(recipe: Recipe, starter: Path, folder: Path, device: torch.device) -> LargeFigures:
    """Returns the figures of the finished weights on the starter's images at 2048 pixels."""
    images = render_pictures(load_pipeline(starter, device), recipe.figures)
    upscaler = load_upscaler(folder, device=str(device))
    return measure_large(on_sheet(images)[: recipe.figures.large], upscaler)


def _recipe(options: argparse.Namespace) -> Recipe:
    """Returns the recipe with the numbers from the options; --tiny has its own."""
    if options.tiny:
        return Recipe.tiny()
    recipe = Recipe()
    return replace(
        recipe,
        pairs=replace(recipe.pairs, training=options.drawings),
        learning=replace(recipe.learning, samples=options.samples, batch=options.batch),
    )


def _parser() -> argparse.ArgumentParser:
    recipe = Recipe()
    parser = training_parser(
        "train-upscaler",
        "Draw pairs, train the starter's upscaler, compare it with plain enlarging, write it.",
        out=OUT,
    )
    add_run_options(
        parser,
        drawings=recipe.pairs.training,
        samples=recipe.learning.samples,
        batch=recipe.learning.batch,
    )
    add = parser.add_argument
    add("--starter", type=Path, default=FOLDERS["starter"], help="model whose images it enlarges")
    add("--large", action="store_true", help="only measure the finished weights at 2048 pixels")
    return parser
