"""Trains the judges: the critic that ships and the classifier that only scores.

Both learn from drawings, crisp and as the autoencoder softens them. The critic also learns from
captions with a wrong kind, a wrong colour, an unknown word or a second object, and from damaged
drawings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from app.check.agreement import word_rows
from app.check.networks import CriticNetwork
from jobs.train.starter.captions import NEUTRAL, another, caption, plain, vocabulary
from jobs.train.starter.classifier import Classifier, to_classifier_input
from jobs.train.starter.damage import spoil
from jobs.train.starter.data import Drawings
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label, Pixels
from jobs.train.starter.flow_matching import warm_up_then_fall
from jobs.train.starter.stages import ProgressLog

_OTHER_CAPTION_SHARE = "stranger"
"""A word outside the vocabulary; it stands for all of them."""


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
    drawings: Drawings,
    soft: Drawings,
    settings: JudgeSettings,
    device: torch.device,
    report: ProgressLog,
) -> Classifier:
    """Returns the trained classifier; the same settings and device give the same weights."""
    torch.manual_seed(settings.seed + 1)
    classifier = Classifier().to(device).train()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed + 1, step])
        pixels, labels = _sample(drawings, soft, settings.batch, rng)
        logits = classifier(_varied(pixels, rng).to(device))
        targets = [
            torch.tensor([KINDS.index(label.kind) for label in labels]),
            torch.tensor([list(COLOURS).index(label.colour) for label in labels]),
            torch.tensor([STYLES.index(label.style) for label in labels]),
        ]
        pairs = zip(logits, targets, strict=True)
        losses = [F.cross_entropy(a, b.to(device)) for a, b in pairs]
        return torch.stack(losses).sum()

    _train(classifier, loss, settings.classifier_samples, settings, report)
    return classifier.eval()


def train_critic(
    drawings: Drawings,
    soft: Drawings,
    settings: JudgeSettings,
    device: torch.device,
    report: ProgressLog,
) -> CriticNetwork:
    """Returns the trained critic; the same settings and device give the same weights."""
    torch.manual_seed(settings.seed)
    critic = CriticNetwork(len(vocabulary())).to(device).train()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step])
        pixels, labels = _sample(drawings, soft, settings.batch, rng)
        others, _ = _sample(drawings, soft, settings.batch, rng)
        spoilt = np.stack([spoil(a, b, rng) for a, b in zip(pixels, others, strict=True)])
        pictures, whole = critic.pictures(_varied(pixels, rng).to(device))
        _, broken = critic.pictures(_varied(spoilt, rng).to(device))
        right = _sentences(critic, [_right(label, rng) for label in labels], device)
        wrong = _sentences(critic, [_wrong(label, rng) for label in labels], device)
        logits = [critic.match(pictures, right), critic.match(pictures, wrong), whole, broken]
        targets = (0.995, 0.0, 0.995, 0.0)
        return torch.stack(
            [
                F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, target))
                for logit, target in zip(logits, targets, strict=True)
            ]
        ).sum()

    _train(critic, loss, settings.critic_samples, settings, report)
    return critic.eval()


def _train(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    samples: int,
    settings: JudgeSettings,
    report: ProgressLog,
) -> None:
    steps = max(samples // settings.batch, 1)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=settings.learning_rate, weight_decay=0.02, betas=(0.9, 0.99)
    )
    schedule = warm_up_then_fall(optimizer, steps, warm_up=min(100, steps // 10 + 1))
    for step in range(steps):
        value = loss(step)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        figures = f"loss {value.item():.4f}" if step % 50 == 0 else ""
        if figures or step == steps - 1:
            report((step + 1) * settings.batch, steps * settings.batch, figures)


def _sample(
    drawings: Drawings, soft: Drawings, count: int, rng: np.random.Generator
) -> tuple[Pixels, list[Label]]:
    """Returns `count` drawings with their labels; half are crisp, half softened."""
    crisp = rng.integers(len(drawings), size=count // 2)
    softened = rng.integers(len(soft), size=count - count // 2)
    pixels = np.concatenate([drawings.pixels[crisp], soft.pixels[softened]])
    labels = [drawings.label(i) for i in crisp] + [soft.label(i) for i in softened]
    return pixels, labels


def _varied(pixels: Pixels, rng: np.random.Generator) -> Tensor:
    """Returns premultiplied images with changes that both judges must ignore.

    Moved up to 2 px, a little blur, brightness and noise.
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


def _right(label: Label, rng: np.random.Generator) -> str:
    """Returns a fitting caption; the style is partly random, because the critic must ignore it."""
    style = STYLES[rng.integers(len(STYLES))] if rng.random() < 0.5 else label.style
    return caption(replace(label, style=style), rng)


def _wrong(label: Label, rng: np.random.Generator) -> str:
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
        return plain(label).replace(
            label.kind, _OTHER_CAPTION_SHARE if rng.random() < 0.7 else "icon"
        )
    if chance < 0.96:
        return f"{caption(label, rng)} {_OTHER_CAPTION_SHARE}"
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
