"""The training loop of every model: AdamW, clipped gradients, learning rate, EMA, checkpoints.

It does not know the models or their data: a trainer gives the loss of each step. If that loss
depends only on the seed, the step and the buffers, a run that was stopped and continued gives the
same weights as an uninterrupted run.
"""

import copy
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from jobs.train.stages import ProgressLog

Model = TypeVar("Model", bound=nn.Module)

_MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """The length of a training, its optimiser and its learning rate."""

    samples: int
    batch: int
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.99)
    warm_up: int = 100
    """Steps over which the learning rate rises, but at most a tenth of all steps and one more."""
    ema: float = 0.0
    """Decay of the moving average of the weights; 0 for none."""
    evaluate_every: int = 0
    """Steps between two evaluations; there is also one after the last step."""

    @property
    def steps(self) -> int:
        """Returns the number of steps, at least 1."""
        return max(self.samples // self.batch, 1)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a training run needs besides its settings: a device, a log, a checkpoint file."""

    device: torch.device
    report: ProgressLog
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0
    """Seconds between two checkpoints."""


@dataclass(slots=True)
class TrainingLoop(Generic[Model]):
    """The state of a training: the model, its average, the optimiser, and the steps done.

    `average` is the moving average of the weights, or the model itself if the settings have none.
    `buffers` are tensors of the trainer that change during the training: checkpoints hold them.
    """

    model: Model
    settings: LoopSettings
    options: RunOptions
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    step: int = field(default=0, init=False)
    average: Model = field(init=False)
    _optimizer: AdamW = field(init=False)
    _schedule: LambdaLR = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.average = self.model
        if settings.ema:
            self.average = copy.deepcopy(self.model).requires_grad_(False)
        self._optimizer = AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        warm_up = min(settings.warm_up, settings.steps // 10 + 1)
        self._schedule = cosine_with_warm_up(self._optimizer, settings.steps, warm_up=warm_up)

    def run(
        self, loss: Callable[[int], Tensor], evaluate: Callable[[int], str] | None = None
    ) -> Model:
        """Returns the average after all steps; continues from the checkpoint if it exists.

        `loss` returns the loss of a step, counted from 0. `evaluate` gets the number of steps done
        and returns figures for the log.
        """
        checkpoint, settings = self.options.checkpoint, self.settings
        if checkpoint and checkpoint.exists():
            self._restore(checkpoint)
        saved = time.monotonic()
        while self.step < settings.steps:
            value = self._update(loss(self.step))
            last = self.step == settings.steps
            if evaluate and (last or self.step % settings.evaluate_every == 0):
                self._report(evaluate(self.step), always=True)
            if checkpoint and time.monotonic() - saved > self.options.checkpoint_seconds:
                self._save(checkpoint)
                saved = time.monotonic()
            self._report(f"loss {value:.4f}")
        return self.average

    def _update(self, loss: Tensor) -> float:
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._schedule.step()
        if self.settings.ema:
            self._update_average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moves the average towards the weights; early averages follow them faster."""
        decay = min(self.settings.ema, (self.step + 1) / (self.step + 10))
        averages: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(averages, list(self.model.parameters()), 1 - decay)

    def _report(self, figures: str, *, always: bool = False) -> None:
        batch = self.settings.batch
        self.options.report(self.step * batch, self.settings.steps * batch, figures, always=always)

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "average": self.average,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
        }

    def _save(self, path: Path) -> None:
        """Writes the checkpoint to a temporary file, then renames it."""
        growing = path.with_suffix(".growing")
        state = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save(state | {"buffers": dict(self.buffers), "step": self.step}, growing)
        os.replace(growing, path)

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location=self.options.device, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        for name, buffer in self.buffers.items():
            buffer.copy_(state["buffers"][name])
        self.step = state["step"]


def cosine_with_warm_up(optimizer: AdamW, steps: int, *, warm_up: int) -> LambdaLR:
    """Returns a learning rate schedule: rises for `warm_up` steps, falls to zero at `steps`."""

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(steps - warm_up, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return LambdaLR(optimizer, factor)
