"""Trains the upscaler from nothing: pairs of drawings, learning, figures, the folder.

The stages follow in the order they run; `train_upscaler` is the whole flow. A stage whose output
exists for the same settings is not repeated, and learning continues from its last checkpoint.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from app.models.bundled import FOLDERS, weights_digest
from app.models.upscaler import Upscaler, UpscalerNetwork, load_upscaler
from app.settings import Settings
from jobs.train.starter.evaluation import load_pipeline
from jobs.train.starter.sheet import save_sheet
from jobs.train.starter.stages import ProgressLog, StageCache, say
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
    made = make_pairs(recipe, stages, starter, device)
    network = train_network(recipe, stages, made, device)
    parts = halve(recipe, stages, network)
    figures = score(recipe, stages, parts, made, starter, device)
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
            made = pairs.make_pairs(count, first_seed, pipe, own, ProgressLog(name))
            pairs.save(made, folder / name)

    settings = {"pairs": asdict(own), "starter": weights_digest(starter)}
    return stages.run("pairs", settings, make)


def train_network(recipe: Recipe, stages: StageCache, made: Path, device: torch.device) -> Path:
    """Returns the folder of the trained network; saves preview sheets of validation images."""
    settings = {"network": recipe.network.as_json(), "learning": asdict(recipe.learning)}

    def make(folder: Path) -> None:
        validation = pairs.load(made / "validation")

        def preview(network: UpscalerNetwork, step: int) -> None:
            _save_preview(network, validation, stages.folder / f"preview-{step:06d}.png")

        trained = learn(
            recipe.network,
            pairs.load(made / "training"),
            validation,
            recipe.learning,
            checkpoint=folder / "checkpoint.pt",
            device=device,
            report=ProgressLog("upscaler"),
            preview=preview,
        )
        torch.save(trained.state_dict(), folder / "network.pt")

    return stages.run("network", settings, make, after=[made])


def _save_preview(network: UpscalerNetwork, validation: pairs.Pairs, path: Path) -> None:
    """Saves a sheet, two drawings a row: repainted by the starter, enlarged, and the original."""
    upscaler = Upscaler(network)
    frames = []
    for index in range(min(12, len(validation))):
        small = validation.small[index, 2]
        frames += [nearest(small), upscaler.upscale(small), validation.large[index]]
    save_sheet(np.stack(frames), 6, path)


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
    recipe: Recipe, stages: StageCache, parts: Path, made: Path, starter: Path, device: torch.device
) -> Path:
    """Returns the folder of figures and sheet; the weights are loaded as a user loads them."""

    def make(folder: Path) -> None:
        upscaler = load_upscaler(parts, device=str(device))
        held_out = pairs.load(made / "held_out")
        figures = measure(upscaler, held_out, starter, recipe.figures, device, folder)
        (folder / "figures.json").write_text(figures.model_dump_json(indent=2), "utf-8")

    return stages.run("figures", recipe.figures, make, after=[parts, made])


def publish(recipe: Recipe, parts: Path, figures: Path, starter: Path, out: Path) -> None:
    """Writes weights, config, sheet and card into `out`.

    Beside the starter, also writes the versions of two models: polish is the starter with these
    weights, typography is based on polish.
    """
    measured = Figures.model_validate_json((figures / "figures.json").read_text("utf-8"))
    digest = write_folder(
        parts, figures / "sheet.png", measured, recipe, weights_digest(starter), out
    )
    for way, by_method in measured.likeness.items():
        ours, theirs = by_method["upscaler"], by_method["Lanczos"]
        say(f"{way}: {ours.psnr:.2f} dB, Lanczos {theirs.psnr:.2f} dB")
    say(f"the upscaler stands in {out}, weights {digest}")
    if out.parent == starter.parent:
        for version in write_extensions(out, starter, out.parent / "typography"):
            say(f"{version.reference}: {version.weights_digest}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if options.large:
        print(large_figures_text(_large(_recipe(options), options, device)))
        return 0
    work = options.work or Settings().home / "train-upscaler"
    stages = StageCache(work, resume=options.resume)
    train_upscaler(_recipe(options), stages, options.starter, options.out, device)
    return 0


def _large(recipe: Recipe, options: argparse.Namespace, device: torch.device) -> LargeFigures:
    """Returns the figures of the finished weights on the starter's images at 2048 pixels."""
    pipe = load_pipeline(options.starter, device)
    painted = render_pictures(pipe, recipe.figures)
    upscaler = load_upscaler(options.out, device=str(device))
    return measure_large(on_sheet(painted)[: recipe.figures.large], upscaler)


def _recipe(options: argparse.Namespace) -> Recipe:
    """Returns the recipe with the numbers from the options; --tiny has its own."""
    if options.tiny:
        return Recipe.tiny()
    own = Recipe()
    return replace(
        own,
        pairs=replace(own.pairs, training=options.drawings),
        learning=replace(own.learning, samples=options.samples, batch=options.batch),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs dev train-upscaler",
        description="Train the starter's upscaler from nothing: pairs, learning, figures.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add, own = parser.add_argument, Recipe()
    add("--out", type=Path, default=OUT, help="the upscaler's folder")
    add("--work", type=Path, help="where stages stand; unless given ATELIER_HOME/train-upscaler")
    add("--starter", type=Path, default=FOLDERS["starter"], help="whose pictures it enlarges")
    add("--drawings", type=int, default=own.pairs.training, help="training drawings")
    add("--samples", type=int, default=own.learning.samples, help="what the network learns from")
    add("--batch", type=int, default=own.learning.batch, help="samples per step")
    add("--threads", type=int, default=1, help="threads of the training process")
    add("--device", help="cpu or cuda; unless given a GPU where there is one")
    add("--large", action="store_true", help="train nothing: measure what stands, at 2048 pixels")
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
