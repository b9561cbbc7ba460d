"""Trains the generator by flow matching on cached latents; continues from a checkpoint.

Source: Esser et al. 2024, "Scaling rectified flow transformers for high-resolution image
synthesis". The data of step n depend only on the seed and n, so a run that was stopped and
continued gives the same weights as an uninterrupted run.
"""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import CLIPTokenizer

from jobs.train.starter.captions import caption
from jobs.train.starter.drawings import KINDS, Label, all_labels
from jobs.train.starter.stages import ProgressLog
from jobs.train.starter.transformer import Generator


def warm_up_then_fall(optimizer: Optimizer, steps: int, *, warm_up: int) -> LambdaLR:
    """Returns a learning rate schedule: rises for `warm_up` steps, falls to zero at `steps`."""

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return LambdaLR(optimizer, factor)


NULL_TOKENS = 256
"""The number of zero tokens that the stock pipeline appends by default."""

Latents = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """Everything that decides the generator's training, besides its shape and its latents."""

    samples: int = 168_000
    batch: int = 32
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.01
    warm_up: int = 200
    ema: float = 0.998
    empty_caption_share: float = 0.1
    many_nulls_share: float = 0.2
    evaluate_every: int = 500
    """Steps between two validations; after each, kinds with a higher loss are sampled more often.
    """
    seed: int = 4


@dataclass(frozen=True, slots=True)
class LatentSet:
    """Latents [n, 16, 8, 8] and the index of each one's label."""

    latents: Latents
    labels: NDArray[np.int64]


@dataclass(slots=True)
class Run:
    """The state of a training run: everything a checkpoint holds."""

    generator: Generator
    average: Generator
    optimizer: AdamW
    schedule: LambdaLR
    step: int = 0
    kind_weights: NDArray[np.float64] = field(default_factory=lambda: np.ones(len(KINDS)))


def train(
    generator: Generator,
    tokenizer: CLIPTokenizer,
    training: LatentSet,
    validation: LatentSet,
    settings: FlowSettings,
    *,
    checkpoint: Path,
    device: torch.device,
    report: ProgressLog,
    preview: Callable[[Generator, int], None],
    checkpoint_seconds: float = 120.0,
) -> Generator:
    """Returns the averaged generator after all steps; continues from `checkpoint` if it exists."""
    steps = max(settings.samples // settings.batch, 1)
    average = copy.deepcopy(generator).requires_grad_(False)
    optimizer = AdamW(
        generator.to(device).parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
    )
    schedule = warm_up_then_fall(optimizer, steps, warm_up=min(settings.warm_up, steps // 10 + 1))
    run = Run(generator, average.to(device), optimizer, schedule)
    if checkpoint.exists():
        _restore(run, checkpoint, device)
    saved = time.monotonic()
    while run.step < steps:
        loss = _step(run, tokenizer, training, settings, device)
        run.schedule.step()
        run.step += 1
        if run.step % settings.evaluate_every == 0 or run.step == steps:
            by_kind = validation_loss(run.average, tokenizer, validation, device)
            run.kind_weights = np.clip(by_kind / by_kind.mean(), 0.5, 2.0)
            report(run.step * settings.batch, settings.samples, _figures(by_kind), always=True)
            preview(run.average, run.step)
        if time.monotonic() - saved > checkpoint_seconds:
            _save(run, checkpoint)
            saved = time.monotonic()
        report(run.step * settings.batch, settings.samples, f"loss {loss:.3f}")
    return run.average


def _figures(by_kind: NDArray[np.float64]) -> str:
    hardest = KINDS[int(by_kind.argmax())]
    return f"validation loss {by_kind.mean():.4f}, hardest {hardest} {by_kind.max():.4f}"


def _step(
    run: Run,
    tokenizer: CLIPTokenizer,
    training: LatentSet,
    settings: FlowSettings,
    device: torch.device,
) -> float:
    rng = np.random.default_rng([settings.seed, run.step])
    chosen = _choose(training.labels, run.kind_weights, settings.batch, rng)
    prompts = _captions(training.labels[chosen], settings.empty_caption_share, rng)
    many = rng.random() < settings.many_nulls_share
    times = _times(settings.batch, rng).to(device)
    noise = torch.from_numpy(
        rng.standard_normal(training.latents[chosen].shape, dtype=np.float32)
    ).to(device)
    clean = torch.from_numpy(training.latents[chosen]).to(device)
    loss = flow_loss(
        run.generator,
        clean,
        noise,
        times,
        token_ids(tokenizer, prompts).to(device),
        null_weight=NULL_TOKENS if many else 1,
    ).mean()
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(run.generator.parameters(), 1.0)
    run.optimizer.step()
    decay = min(settings.ema, (run.step + 1) / (run.step + 10))
    with torch.no_grad():
        averages: list[Tensor] = list(run.average.parameters())
        torch._foreach_lerp_(averages, list(run.generator.parameters()), 1 - decay)
    return float(loss.detach())


def flow_loss(
    generator: Generator,
    clean: Tensor,
    noise: Tensor,
    times: Tensor,
    ids: Tensor,
    *,
    null_weight: float,
) -> Tensor:
    """Returns the mean squared error of the predicted velocity for each sample, shape [n]."""
    t = times[:, None, None, None]
    velocity = generator((1 - t) * clean + t * noise, times, ids, null_weight=null_weight)
    return F.mse_loss(velocity, noise - clean, reduction="none").mean(dim=(1, 2, 3))


def token_ids(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """Returns token ids [n, 16], padded and truncated as in the pipeline."""
    encoded = tokenizer(
        prompts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True
    )
    return torch.tensor(encoded["input_ids"])


def _choose(
    labels: NDArray[np.int64],
    kind_weights: NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Returns the indices of a batch: a kind by its weight, then one of its drawings."""
    kinds = labels * len(KINDS) // len(all_labels())
    shares = kind_weights[kinds] / kind_weights[kinds].sum()
    return np.searchsorted(shares.cumsum(), rng.random(count)).clip(max=len(labels) - 1)


def _captions(labels: NDArray[np.int64], empty_share: float, rng: np.random.Generator) -> list[str]:
    names: list[Label] = all_labels()
    return ["" if rng.random() < empty_share else caption(names[i], rng) for i in labels]


def _times(count: int, rng: np.random.Generator) -> Tensor:
    """Returns logit-normal times, stratified over the batch so that it covers every noise level."""
    uniform = (rng.permutation(count) + rng.random(count)) / count
    normal = torch.special.ndtri(torch.from_numpy(uniform).clamp(1e-4, 1 - 1e-4))
    return torch.sigmoid(normal).float()


@torch.no_grad()
def validation_loss(
    generator: Generator, tokenizer: CLIPTokenizer, validation: LatentSet, device: torch.device
) -> NDArray[np.float64]:
    """Returns the mean loss of each kind, in the order of KINDS, with fixed captions and noise."""
    rng = np.random.default_rng(0)
    prompts = _captions(validation.labels, 0.0, rng)
    ids = token_ids(tokenizer, prompts)
    noise = rng.standard_normal(validation.latents.shape, dtype=np.float32)
    times = _times(len(prompts), rng)
    losses = []
    for start in range(0, len(prompts), 64):
        part = slice(start, start + 64)
        clean = torch.from_numpy(validation.latents[part]).to(device)
        noised = torch.from_numpy(noise[part]).to(device)
        moved = (clean, noised, times[part].to(device), ids[part].to(device))
        losses.append(flow_loss(generator, *moved, null_weight=1).cpu().numpy())
    flat = np.concatenate(losses).astype(np.float64)
    kinds = validation.labels * len(KINDS) // len(all_labels())
    by_kind = [flat[kinds == kind] for kind in range(len(KINDS))]
    return np.array([losses.mean() if losses.size else flat.mean() for losses in by_kind])


def _save(run: Run, path: Path) -> None:
    """Writes the checkpoint to a temporary file, then renames it."""
    growing = path.with_suffix(".growing")
    state = {
        "generator": run.generator.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.schedule.state_dict(),
        "kind_weights": torch.from_numpy(run.kind_weights),
        "step": run.step,
    }
    torch.save(state, growing)
    os.replace(growing, path)


def _restore(run: Run, path: Path, device: torch.device) -> None:
    state = torch.load(path, map_location=device, weights_only=True)
    run.generator.load_state_dict(state["generator"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.schedule.load_state_dict(state["schedule"])
    run.kind_weights = cast(NDArray[np.float64], state["kind_weights"].cpu().numpy())
    run.step = state["step"]
