"""Trains the critic that ships and the classifier that only scores.

Both learn from drawings, crisp and softened by the autoencoder. The critic also learns from
captions with a wrong kind, a wrong colour, an unknown word or a second object, and from damaged
drawings.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from app.check.agreement import word_rows
from app.check.networks import CriticNetwork
from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.starter.captions import NEUTRAL, another, caption, plain, vocabulary
from jobs.train.starter.classifier import Classifier, to_classifier_input
from jobs.train.starter.damage import apply_random_damage
from jobs.train.starter.data import Drawings
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label, Pixels

_UNKNOWN_WORD = "stranger"
"""A word outside the vocabulary; the critic learns to reject every such word from it."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Everything that decides the critic and the classifier, besides the drawings."""

    critic_samples: int = 120_000
    classifier_samples: int = 48_000
    softened: int = 4_800
    """How many training drawings are also used as softened by the autoencoder."""
    soft_noise: float = 0.15
    batch: int = 64
    learning_rate: float = 1.5e-3
    seed: int = 5


def train_classifier(
    drawings: Drawings, soft: Drawings, settings: JudgeSettings, options: RunOptions
) -> Classifier:
    """Returns the trained classifier; the same settings and device give the same weights."""
    torch.manual_seed(settings.seed + 1)
    device = options.device
    classifier = Classifier().to(device).train()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed + 1, step])
        pixels, labels = _sample(drawings, soft, settings.batch, rng)
        logits = classifier(_augmented(pixels, rng).to(device))
        targets = [
            torch.tensor([KINDS.index(label.kind) for label in labels]),
            torch.tensor([list(COLOURS).index(label.colour) for label in labels]),
            torch.tensor([STYLES.index(label.style) for label in labels]),
        ]
        pairs = zip(logits, targets, strict=True)
        losses = [F.cross_entropy(a, b.to(device)) for a, b in pairs]
        return torch.stack(losses).sum()

    loop_settings = _loop_settings(settings, settings.classifier_samples)
    return TrainingLoop(classifier, loop_settings, options).run(loss).eval()


def train_critic(
    drawings: Drawings, soft: Drawings, settings: JudgeSettings, options: RunOptions
) -> CriticNetwork:
    """Returns the trained critic; the same settings and device give the same weights."""
    torch.manual_seed(settings.seed)
    device = options.device
    critic = CriticNetwork(len(vocabulary())).to(device).train()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step])
        pixels, labels = _sample(drawings, soft, settings.batch, rng)
        others, _ = _sample(drawings, soft, settings.batch, rng)
        pairs = zip(pixels, others, strict=True)
        damaged = np.stack([apply_random_damage(a, b, rng) for a, b in pairs])
        images, whole = critic.pictures(_augmented(pixels, rng).to(device))
        _, broken = critic.pictures(_augmented(damaged, rng).to(device))
        right = _sentences(critic, [_right_caption(label, rng) for label in labels], device)
        wrong = _sentences(critic, [_wrong_caption(label, rng) for label in labels], device)
        logits = [critic.match(images, right), critic.match(images, wrong), whole, broken]
        targets = (0.995, 0.0, 0.995, 0.0)
        return torch.stack(
            [
                F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, target))
                for logit, target in zip(logits, targets, strict=True)
            ]
        ).sum()

    loop_settings = _loop_settings(settings, settings.critic_samples)
    return TrainingLoop(critic, loop_settings, options).run(loss).eval()


def _loop_settings(settings: JudgeSettings, samples: int) -> LoopSettings:
    return LoopSettings(
        samples=samples,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=0.02,
    )


def _sample(
    drawings: Drawings, soft: Drawings, count: int, rng: np.random.Generator
) -> tuple[Pixels, list[Label]]:
    """Returns `count` drawings with their labels; half are crisp, half softened."""
    crisp = rng.integers(len(drawings), size=count // 2)
    softened = rng.integers(len(soft), size=count - count // 2)
    pixels = np.concatenate([drawings.pixels[crisp], soft.pixels[softened]])
    labels = [drawings.label(i) for i in crisp] + [soft.label(i) for i in softened]
    return pixels, labels


def _augmented(pixels: Pixels, rng: np.random.Generator) -> Tensor:
    """Returns premultiplied images with changes that critic and classifier must ignore.

    They are shifts of up to 2 px, a little blur, brightness and noise.
    """
    images = to_classifier_input(pixels).permute(0, 2, 3, 1).numpy()
    out = np.empty_like(images)
    for index, image in enumerate(images):
        sigma = rng.uniform(0, 0.8)
        blurred = cv2.GaussianBlur(image, (5, 5), sigma) if sigma > 0.25 else image
        out[index] = np.roll(blurred, rng.integers(-2, 3, 2), axis=(0, 1))
    out[..., :3] *= rng.uniform(0.95, 1.05, (len(out), 1, 1, 1))
    out += rng.normal(0, 1, out.shape) * rng.uniform(0, 0.03, (len(out), 1, 1, 1))
    return torch.from_numpy(out).permute(0, 3, 1, 2).clamp(0, 1)


def _right_caption(label: Label, rng: np.random.Generator) -> str:
    """Returns a fitting caption; the style is partly random, because the critic must ignore it."""
    style = STYLES[rng.integers(len(STYLES))] if rng.random() < 0.5 else label.style
    return caption(replace(label, style=style), rng)


def _wrong_caption(label: Label, rng: np.random.Generator) -> str:
    """Returns a caption that does not fit: by kind, colour, an unknown word or a second object."""
    chance = rng.random()
    kind = another(KINDS, label.kind, rng)
    colour = another(COLOURS, label.colour, rng)
    if chance < 0.3:
        return caption(replace(label, kind=kind), rng)
    if chance < 0.7:
        return caption(replace(label, colour=colour), rng, complete=True)
    if chance < 0.78:
        return caption(replace(label, kind=kind, colour=colour), rng)
    if chance < 0.92:
        return plain(label).replace(label.kind, _UNKNOWN_WORD if rng.random() < 0.7 else "icon")
    if chance < 0.96:
        return f"{caption(label, rng)} {_UNKNOWN_WORD}"
    return f"{caption(label, rng)} on {plain(Label(kind, colour, label.style))}"


def _sentences(critic: CriticNetwork, prompts: list[str], device: torch.device) -> Tensor:
    rows = [word_rows(prompt, vocabulary(), NEUTRAL) or [0] for prompt in prompts]
    longest = max(len(row) for row in rows)
    table: NDArray[np.int64] = np.zeros((len(rows), longest), dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.float32)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return critic.sentences(torch.from_numpy(table).to(device), torch.from_numpy(mask).to(device))
