"""One step of the flow for every request of a batch: guidance, Euler, and what inpainting keeps."""

from collections.abc import Sequence
from math import inf, log

import torch

from app.engine.state import DenoiseState


def advance(
    states: Sequence[DenoiseState], velocity: torch.Tensor, *, rounding: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the next latents and guided velocities, both [requests, channels, height, width].

    `velocity` has the rows in the order of the requests, the unconditional before the conditional;
    rows after them are padding. Guidance is that of Ho & Salimans 2022, the step Euler's. The
    states are not changed. `rounding` is "fp32", or "stock" for diffusers' rounding in the model's
    own precision: the step size itself is rounded first.
    """
    guided = _guided(states, velocity, rounding)
    change = _column([state.sigmas[state.step + 1] - state.sigmas[state.step] for state in states])
    latents = torch.stack([state.latents for state in states])
    if rounding == "stock":
        moved = change.to(guided) * guided
        return (latents.float() + moved).to(latents.dtype), guided
    return latents + change.to(guided.device) * guided, guided


def _guided(states: Sequence[DenoiseState], velocity: torch.Tensor, rounding: str) -> torch.Tensor:
    """Returns guided velocities; for an unguided request the guidance term is exactly 0.

    Its one row stands for both the unconditional and the conditional.
    """
    exact = velocity if rounding == "stock" else velocity.float()
    unconditional, conditional = [], []
    row = 0
    for state in states:
        unconditional.append(exact[row])
        conditional.append(exact[row + state.rows - 1])
        row += state.rows
    base = torch.stack(unconditional)
    # Explicit dtype: the process default may differ while another model is being loaded.
    scales = [torch.tensor(state.request.guidance_scale, dtype=torch.float32) for state in states]
    scale = _column(scales)
    difference = torch.stack(conditional) - base
    return base + (scale.to(base.device) * difference).to(base.dtype)


def _column(numbers: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(numbers)).float().reshape(-1, 1, 1, 1)


def restore_masked(state: DenoiseState, latents: torch.Tensor) -> torch.Tensor:
    """Returns the latents after the state's next step, with the masked-out area restored.

    The restored area is the original at the noise level of the following step, and without noise at
    the end (as diffusers' inpainting pipeline does for models without mask channels).
    """
    if state.repaint is None:
        return latents
    original, mask = state.repaint.latents, state.repaint.mask
    if state.steps_left > 1:
        sigma = state.sigmas[state.step + 1].to(original)
        original = sigma * state.repaint.noise + (1.0 - sigma) * original
    return (1 - mask) * original + mask * latents


def multistep(state: DenoiseState, clean: torch.Tensor) -> torch.Tensor:
    """Returns the next latents of a request from its model's estimate of the final ones."""
    sigma, after = (float(state.sigmas[state.step + ahead]) for ahead in (0, 1))
    decay = after * (1 - sigma) / ((1 - after) * sigma)
    estimate = clean
    if state.clean is not None and state.steps_left > 1:
        before = float(state.sigmas[state.step - 1])
        estimate = clean + 0.5 * _ratio(before, sigma, after) * (clean - state.clean)
    moved = (after / sigma) * state.latents + (1 - after) * (1 - decay) * estimate
    return moved.to(state.latents.dtype)


def _ratio(before: float, sigma: float, after: float) -> float:
    """Returns this step's length over the last one's, in half the logarithm of signal to noise."""
    start, middle, end = _log_snr(before), _log_snr(sigma), _log_snr(after)
    return (end - middle) / (middle - start)


def _log_snr(sigma: float) -> float:
    return log((1 - sigma) / sigma) if sigma < 1 else -inf
