"""Versions of a tiny model as folders on disk, good ones and such as no service should take."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from app.models.describe import describe
from app.models.random_weights import Sd3Shape, random_sd3
from app.types import ModelVersion, Size

SIDE = 16
WEIGHTS = Path("transformer") / "diffusion_pytorch_model.safetensors"


def version_in(folder: Path, number: int, **changes: Any) -> ModelVersion:
    """Version `number` of the model draft, written there; each number paints otherwise."""
    stock = random_sd3(Sd3Shape())
    with torch.no_grad():
        for parameter in stock.transformer.parameters():
            parameter.mul_(1 + number / 100)
    stock.save_pretrained(folder, safe_serialization=True)
    return described(folder, number, **changes)


def described(folder: Path, number: int, **changes: Any) -> ModelVersion:
    """What stands in a folder, as version `number` of the model draft."""
    size = Size(width=SIDE, height=SIDE)
    model = describe(folder, "draft", licence="none", sizes=[size], steps=4)
    return model.replace(version=str(number), **changes)


def spoil_numbers(folder: Path) -> None:
    """Every weight is no number any more, in a file that reads well."""
    weights = load_file(folder / WEIGHTS)
    nothing = {name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()}
    save_file(nothing, folder / WEIGHTS, metadata={"format": "pt"})


def cut_weights(folder: Path) -> None:
    """The file ends early."""
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
