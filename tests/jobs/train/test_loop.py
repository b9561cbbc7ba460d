"""The training loop with a model of four weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jobs.train.loop import LoopSettings, RunOptions, TrainingLoop
from jobs.train.stages import ProgressLog

SETTINGS = LoopSettings(
    samples=12, batch=2, learning_rate=0.1, weight_decay=0.01, ema=0.9, evaluate_every=2
)


class Stopped(Exception):
    """Stands for a kill in the middle of training."""


def trained(checkpoint: Path, stop_at: int | None = None) -> nn.Linear:
    """Six steps with a checkpoint after each; every evaluation changes a buffer of the loss."""
    torch.manual_seed(0)
    scale = torch.ones(1)
    report = ProgressLog("test")
    options = RunOptions(torch.device("cpu"), report, checkpoint, checkpoint_seconds=0)
    loop = TrainingLoop(nn.Linear(3, 1), SETTINGS, options, {"scale": scale})

    def loss(step: int) -> Tensor:
        if step == stop_at:
            raise Stopped
        inputs = np.random.default_rng(step).standard_normal((2, 3), dtype=np.float32)
        return (scale * loop.model(torch.from_numpy(inputs)) - 1).square().mean()

    def evaluate(step: int) -> str:
        scale.add_(step)
        return f"step {step}"

    return loop.run(loss, evaluate)


@pytest.mark.parametrize("stop_at", range(1, 6))
def test_a_stopped_and_continued_training_gives_the_same_weights(
    tmp_path: Path, stop_at: int
) -> None:
    with pytest.raises(Stopped):
        trained(tmp_path / "a.pt", stop_at)
    continued = trained(tmp_path / "a.pt")
    uninterrupted = trained(tmp_path / "b.pt")
    for name, value in uninterrupted.state_dict().items():
        assert torch.equal(continued.state_dict()[name], value)


def test_the_log_has_the_evaluations_the_rate_and_no_step_twice_within_the_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path / "a.pt")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "test: 2/12 samples",
        "test: 4/12 samples",
        "test: 8/12 samples",
        "test: 12/12 samples",
        "test: 12/12 samples",
    ]
    assert "step 4" in lines[2]
