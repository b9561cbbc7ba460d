"""Writes the folders that ship: parts in half precision, and the version."""

import shutil
from pathlib import Path

import torch
from diffusers.models import AutoencoderKL
from transformers import CLIPTokenizer

from app.digest import digest_folder
from app.models.bundled import CARD_FILES, weights_digest
from app.types import ModelVersion, Size
from jobs.train.starter.captions import NEUTRAL, vocabulary
from jobs.train.starter.evaluation import Evaluation
from jobs.train.starter.recipe import ScoreSettings
from jobs.train.starter.sampling import pipeline
from jobs.train.starter.transformer import Generator

NAME, VERSION = "starter-icons", "1"


def save_parts(
    generator: Generator, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path
) -> None:
    """Writes the standard pipeline folder, every part in half precision as safetensors."""
    vae.register_to_config(_name_or_path=NAME)  # else the config holds a path of this machine
    pipe = pipeline(generator, vae, tokenizer).to(torch.float16)
    pipe.save_pretrained(folder, safe_serialization=True)


def model_version(folder: Path, evaluation: Evaluation, settings: ScoreSettings) -> ModelVersion:
    """Returns the version that describes the finished folder."""
    return ModelVersion(
        name=NAME,
        version=VERSION,
        family="sd3",
        weights_digest=weights_digest(folder),
        licence="Apache-2.0",
        source="python -m jobs dev train-starter",
        latent_space=f"{NAME}-{digest_folder(folder / 'vae')[:12]}",
        capabilities=("text-to-image", "transparent"),
        vocabulary=tuple(sorted({*vocabulary(), *NEUTRAL})),
        sizes=(Size(width=64, height=64),),
        num_inference_steps=settings.steps,
        guidance_scale=evaluation.guidance,
        max_sequence_length=1,
        critic="critic",
    )


def size_of(folder: Path) -> int:
    """Returns the size in bytes of all files that the weights digest covers."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if path.name not in CARD_FILES)


def replace_folder(source: Path, target: Path) -> None:
    """Copies a folder to `target`; replaces what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
