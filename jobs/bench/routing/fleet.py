"""The models of the benchmark: the bundled ones, and one that is truly weaker and cheaper."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from app.models import bundled
from app.models.bundled import FOLDERS, VERSION, read_version, weights_digest
from app.types import ModelVersion

PRUNED = "pruned"
DROPPED = 1
"""The transformer block that the pruned model lacks."""
STEPS = 4


def fleet(folder: Path) -> Mapping[str, ModelVersion]:
    """Returns the bundled starter, polish and typography, and a pruned starter in `folder`."""
    shipped = bundled.bundled_models()
    names = ("starter", "polish", "typography")
    return {PRUNED: pruned(folder)} | {name: shipped[name] for name in names}


def pruned(folder: Path) -> ModelVersion:
    """Returns the starter without one of its transformer blocks, at few steps and without guidance.

    Nothing is trained: it stands for a model that is cheaper and renders some things badly.
    """
    import torch
    from diffusers.models import SD3Transformer2DModel

    source, place = FOLDERS["starter"], folder / PRUNED
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("transformer"))
    shutil.copytree(source.parent / "critic", folder / "critic")
    transformer = SD3Transformer2DModel.from_pretrained(
        source / "transformer", use_safetensors=True, torch_dtype=torch.float16
    )
    del transformer.transformer_blocks[DROPPED]
    transformer.register_to_config(num_layers=len(transformer.transformer_blocks))
    transformer.save_pretrained(place / "transformer")
    version = read_version(source).replace(
        name=PRUNED,
        weights_digest=weights_digest(place),
        source=f"starter-icons without block {DROPPED}",
        num_inference_steps=STEPS,
        guidance_scale=1.0,
        seconds_per_image=None,
        folder=str(place),
    )
    (place / VERSION).write_text(version.model_dump_json())
    return version
