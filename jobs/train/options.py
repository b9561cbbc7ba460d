"""The command-line options that the training commands share."""

import argparse
from pathlib import Path

import torch

from app.settings import Settings
from jobs.train.stages import StageCache


def training_parser(command: str, description: str, *, out: Path) -> argparse.ArgumentParser:
    """Returns a parser with the options that every training command has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m jobs dev {command}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=out, help="folder of the finished model")
    add("--work", type=Path, default=Settings().home / command, help="folder of the stages")
    add("--tiny", action="store_true", help="run all stages in seconds; the weights are useless")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep finished stages, and continue from checkpoints",
    )
    return parser


def add_run_options(
    parser: argparse.ArgumentParser, *, drawings: int, samples: int, batch: int
) -> None:
    """Adds the size of the training, the threads and the device; the numbers are the defaults."""
    add = parser.add_argument
    add("--drawings", type=int, default=drawings, help="number of training drawings")
    add("--samples", type=int, default=samples, help="number of samples the network learns from")
    add("--batch", type=int, default=batch, help="samples in a step")
    add("--threads", type=int, default=1, help="threads of the training process")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    add("--device", type=torch.device, default=device, help="cpu or cuda")


def stage_cache(options: argparse.Namespace) -> StageCache:
    """Returns the cache of the stages in the folder `--work`."""
    return StageCache(options.work, resume=options.resume)
