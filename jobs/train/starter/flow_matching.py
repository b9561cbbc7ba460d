"""Trains the generator by flow matching on cached latents; continues from a checkpoint.

Source: Esser et al. 2024, "Scaling rectified flow transformers for high-resolution image
synthesis". The data of a step depend only on the seed, the step and the weights of the kinds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTokenizer

from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.starter.captions import caption
from jobs.train.starter.drawings import KINDS, Label, all_labels
from jobs.train.starter.transformer import Generator

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


def train(
    generator: Generator,
    tokenizer: CLIPTokenizer,
    training: LatentSet,
    validation: LatentSet,
    settings: FlowSettings,
    options: RunOptions,
    preview: Callable[[Generator, int], None],
) -> Generator:
    """Returns the averaged generator after all steps; continues from the checkpoint if it exists.

    `preview` gets the averaged generator and the number of steps after each validation.
    """
    device = options.device
    kind_weights = torch.ones(len(KINDS), dtype=torch.float64)
    loop = TrainingLoop(
        generator.to(device), _loop_settings(settings), options, {"kind_weights": kind_weights}
    )

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([settings.seed, step])
        chosen = _choose(training.labels, kind_weights.numpy(), settings.batch, rng)
        prompts = _captions(training.labels[chosen], settings.empty_caption_share, rng)
        many = rng.random() < settings.many_nulls_share
        times = _times(settings.batch, rng)
        clean = training.latents[chosen]
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        tensors = (torch.from_numpy(clean), noise, times, token_ids(tokenizer, prompts))
        moved = (tensor.to(device) for tensor in tensors)
        return flow_loss(generator, *moved, null_weight=NULL_TOKENS if many else 1).mean()

    def evaluate(step: int) -> str:
        by_kind = validation_loss(loop.average, tokenizer, validation, device)
        kind_weights.copy_(torch.from_numpy(np.clip(by_kind / by_kind.mean(), 0.5, 2.0)))
        preview(loop.average, step)
        hardest = KINDS[int(by_kind.argmax())]
        return f"validation loss {by_kind.mean():.4f}, hardest {hardest} {by_kind.max():.4f}"

    return loop.run(loss, evaluate)


def _loop_settings(settings: FlowSettings) -> LoopSettings:
    return LoopSettings(
        samples=settings.samples,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warm_up=settings.warm_up,
        ema=settings.ema,
        evaluate_every=settings.evaluate_every,
    )


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
