"""Evaluates the finished folder: loads it as a user does, scores it and writes its sheets."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline

from app.types import Value
from jobs.train.starter import damage
from jobs.train.starter.captions import another, caption, plain
from jobs.train.starter.data import Drawings, save_sheet
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label, Pixels
from jobs.train.starter.recipe import ScoreSettings
from jobs.train.starter.sampling import sample
from jobs.train.starter.score import Judges, Score, controls, score

_CHOOSING_SEED, _STYLED_SEED = 1_000_000, 2_000_000


class CriticFigures(Value):
    """Shares of fresh drawings that reach the critic's threshold, by what was changed."""

    right: float
    wrong_kind: float
    wrong_colour: float
    unknown_word: float
    damaged: float


class Evaluation(Value):
    """Every figure about quality that the model card gives."""

    guidance: float
    by_guidance: dict[str, float]
    plain: Score
    styled: Score
    long: Score
    controls: dict[str, Score]
    critic: CriticFigures
    kind_probability: float
    agreement: float
    seconds_per_image: float


def load_pipeline(folder: Path, device: torch.device) -> StableDiffusion3Pipeline:
    """Returns the unmodified pipeline over the finished folder, in single precision."""
    pipe = StableDiffusion3Pipeline.from_pretrained(
        folder, text_encoder_3=None, tokenizer_3=None, dtype=torch.float32
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def plain_labels(count: int) -> list[Label]:
    """Returns `count` labels: every kind and colour in turn, colour by colour."""
    pairs = [Label(kind, colour, STYLES[0]) for colour in COLOURS for kind in KINDS]
    return [pairs[i % len(pairs)] for i in range(count)]


def styled_labels(count: int) -> list[Label]:
    """Returns `count` labels over all kinds and styles, with the colours in turn."""
    colours = list(COLOURS)
    pairs = [(kind, style) for style in STYLES for kind in KINDS]
    turns = [(pairs[i % len(pairs)], colours[i % len(colours)]) for i in range(count)]
    return [Label(kind, colour, style) for (kind, style), colour in turns]


def plain_prompts(labels: Sequence[Label]) -> list[str]:
    """Returns the plain caption of each label."""
    return [plain(label) for label in labels]


def evaluate(
    folder: Path,
    judges: Judges,
    fresh: Drawings,
    settings: ScoreSettings,
    device: torch.device,
    sheets: Path,
) -> Evaluation:
    """Chooses the guidance, scores with other seeds, writes `sheet.png` and `styles.png`."""
    pipe = load_pipeline(folder, device)
    by_guidance = {g: _chosen_score(pipe, judges, settings, g) for g in settings.guidances}
    guidance = max(settings.guidances, key=lambda g: (by_guidance[g], -g))
    render = partial(sample, pipe, steps=settings.steps, guidance=guidance)
    labels, styled = plain_labels(settings.prompts), styled_labels(settings.styled)
    prompts = plain_prompts(labels)
    captions = [f"a {label.style} {label.colour} {label.kind}" for label in styled]
    started = time.perf_counter()
    images = render(prompts, range(len(prompts)))
    seconds = (time.perf_counter() - started) / len(labels)
    styled_images = render(captions, range(_STYLED_SEED, _STYLED_SEED + len(captions)))
    long = prompts[: settings.long]
    long_images = render(long, range(len(long)), max_sequence_length=256)
    _save_plain_sheet(images, sheets / "sheet.png")
    save_sheet(styled_images, len(KINDS), sheets / "styles.png")
    return Evaluation(
        guidance=guidance,
        by_guidance={f"{g:g}": value for g, value in by_guidance.items()},
        plain=score(judges, images, labels),
        styled=score(judges, styled_images, styled, captions),
        long=score(judges, long_images, labels[: len(long)]),
        controls=controls(judges, fresh, len(fresh)),
        critic=critic_figures(judges, fresh),
        kind_probability=judges.kind_probability,
        agreement=judges.agreement,
        seconds_per_image=seconds,
    )


def _chosen_score(
    pipe: StableDiffusion3Pipeline, judges: Judges, settings: ScoreSettings, guidance: float
) -> float:
    labels = plain_labels(settings.choosing)
    seeds = range(_CHOOSING_SEED, _CHOOSING_SEED + len(labels))
    prompts = [plain(label) for label in labels]
    images = sample(pipe, prompts, seeds, steps=settings.steps, guidance=guidance)
    return score(judges, images, labels).strict


def _save_plain_sheet(images: Pixels, path: Path) -> None:
    """Saves a sheet with the first image of every kind (rows) and colour (columns)."""
    order = [c * len(KINDS) + k for k in range(len(KINDS)) for c in range(len(COLOURS))]
    save_sheet(images[[index for index in order if index < len(images)]], len(COLOURS), path)


def critic_figures(judges: Judges, fresh: Drawings) -> CriticFigures:
    """Returns how often the critic accepts fresh drawings: right and wrong captions, damage."""
    critic, rng = judges.critic, np.random.default_rng(1)
    labels = [fresh.label(i) for i in range(len(fresh))]
    wrong_kinds = [replace(label, kind=another(KINDS, label.kind, rng)) for label in labels]
    wrong_colours = [replace(label, colour=another(COLOURS, label.colour, rng)) for label in labels]
    damaged = np.stack([damage.erase_blocks(image, rng, share=0.6) for image in fresh.pixels])

    def accepted(pixels: Pixels, prompts: Sequence[str]) -> float:
        return float((critic.agreement(pixels, prompts) >= critic.threshold).mean())

    return CriticFigures(
        right=accepted(fresh.pixels, [caption(label, rng) for label in labels]),
        wrong_kind=accepted(fresh.pixels, plain_prompts(wrong_kinds)),
        wrong_colour=accepted(fresh.pixels, plain_prompts(wrong_colours)),
        unknown_word=accepted(fresh.pixels, [f"a {label.colour} dragon" for label in labels]),
        damaged=accepted(damaged, plain_prompts(labels)),
    )
