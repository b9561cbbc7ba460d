"""Trains the starter's appearance model: pictures, learning, figures, the folder.

A stage whose output exists for the same settings is not repeated.
"""

import argparse
import shutil
import sys
from pathlib import Path

import cv2
import torch

from app.check.agreement import LOOKS
from app.check.looks import CONFIG_FILE, WEIGHTS_FILE, AppearanceModel
from app.models.bundled import FOLDERS, read_version
from app.settings import Settings
from app.types import ModelVersion
from jobs.train.looks.card import save_looks, write_card
from jobs.train.looks.figures import LooksFigures, measure
from jobs.train.looks.learning import Recipe, learn
from jobs.train.looks.pictures import load_pool, make_pool
from jobs.train.starter.stages import ProgressLog, StageCache, say

OUT = FOLDERS["starter"].parent / LOOKS


def train_looks(recipe: Recipe, stages: StageCache, out: Path) -> LooksFigures:
    """Runs all stages and returns the figures; writes weights, config and card into `out`."""
    own = recipe.pictures
    learned_from = pictures(stages, "pictures", own.world, own.drawn, own.painted)
    held_out = pictures(
        stages, "held-out", own.held_out_world, own.held_out_drawn, own.held_out_painted
    )
    weights = train(recipe, stages, learned_from)
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        shutil.copyfile(weights / name, out / name)
    figures = measure(AppearanceModel.load(out), load_pool(held_out), count=recipe.figures)
    write_card(out, _starter().reference, figures, recipe)
    say(f"the looks stand in {out}")
    return figures


def pictures(stages: StageCache, name: str, world: int, drawn: int, painted: int) -> Path:
    """Returns the folder of one world's drawn and rendered images; makes it unless it exists."""
    settings = {"starter": _starter().weights_digest, "world": world}

    def make(folder: Path) -> None:
        make_pool(folder, world, drawn_count=drawn, painted_count=painted)

    return stages.run(name, settings | {"drawn": drawn, "painted": painted}, make)


def train(recipe: Recipe, stages: StageCache, learned_from: Path) -> Path:
    """Returns the folder of weights and config; trains the network on the CPU unless it exists."""

    def make(folder: Path) -> None:
        pool, device = load_pool(learned_from), torch.device("cpu")
        save_looks(learn(pool, recipe.learning, device, ProgressLog("looks")), folder)

    return stages.run("looks", recipe.learning, make, after=[learned_from])


def _starter() -> ModelVersion:
    return read_version(FOLDERS["starter"])


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns the exit code."""
    options = _parser().parse_args(argv)
    torch.set_num_threads(1)  # so that the same settings give the same weights
    cv2.setNumThreads(1)
    work = options.work or Settings().home / "train-looks"
    recipe = Recipe.tiny() if options.tiny else Recipe()
    train_looks(recipe, StageCache(work, resume=options.resume), options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs dev train-looks",
        description="Train the starter's looks: pictures, learning, figures, the folder.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=OUT, help="the looks' folder")
    add("--work", type=Path, help="where stages stand; unless given ATELIER_HOME/train-looks")
    add("--tiny", action="store_true", help="every stage in seconds; the answers mean nothing")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep finished stages",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
