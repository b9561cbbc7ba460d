"""Trains the starter's appearance model: images, training, figures, the folder.

A stage whose output exists for the same settings is not repeated.
"""

import shutil
from pathlib import Path

import cv2
import torch

from app.check.agreement import LOOKS
from app.check.looks import CONFIG_FILE, WEIGHTS_FILE, AppearanceModel
from app.models.bundled import FOLDERS, read_version
from app.types import ModelVersion
from jobs.train.looks.card import save_looks, write_card
from jobs.train.looks.figures import LooksFigures, measure
from jobs.train.looks.learning import Recipe, learn
from jobs.train.looks.pictures import load_pool, make_pool
from jobs.train.loop import RunOptions
from jobs.train.options import stage_cache, training_parser
from jobs.train.stages import ProgressLog, StageCache, say

OUT = FOLDERS["starter"].parent / LOOKS


def train_looks(recipe: Recipe, stages: StageCache, out: Path) -> LooksFigures:
    """Runs all stages and returns the figures; writes weights, config and card into `out`."""
    own = recipe.pictures
    training = pictures(stages, "pictures", own.world, own.drawn, own.painted)
    held_out = pictures(
        stages, "held-out", own.held_out_world, own.held_out_drawn, own.held_out_painted
    )
    weights = train(recipe, stages, training)
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        shutil.copyfile(weights / name, out / name)
    figures = measure(AppearanceModel.load(out), load_pool(held_out), count=recipe.figures)
    write_card(out, _starter().reference, figures, recipe)
    say(f"appearance model written to {out}")
    return figures


def pictures(stages: StageCache, name: str, world: int, drawn: int, painted: int) -> Path:
    """Returns the folder of one world's drawn and rendered images; makes it unless it exists."""
    settings = {"starter": _starter().weights_digest, "world": world}

    def make(folder: Path) -> None:
        make_pool(folder, world, drawn_count=drawn, painted_count=painted)

    return stages.run(name, settings | {"drawn": drawn, "painted": painted}, make)


def train(recipe: Recipe, stages: StageCache, training: Path) -> Path:
    """Returns the folder of weights and config; trains the network on the CPU unless it exists."""

    def make(folder: Path) -> None:
        options = RunOptions(torch.device("cpu"), ProgressLog("looks", unit="steps"))
        save_looks(learn(load_pool(training), recipe.learning, options), folder)

    return stages.run("looks", recipe.learning, make, after=[training])


def _starter() -> ModelVersion:
    return read_version(FOLDERS["starter"])


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    description = "Damage drawings and the starter's images, train the looks model on them."
    options = training_parser("train-looks", description, out=OUT).parse_args(argv)
    torch.set_num_threads(1)  # so that the same settings give the same weights
    cv2.setNumThreads(1)
    recipe = Recipe.tiny() if options.tiny else Recipe()
    train_looks(recipe, stage_cache(options), options.out)
    return 0
