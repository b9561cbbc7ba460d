"""One step of DPM-Solver++(2M) for a flow: towards the clean latents, corrected by the last step.

Source: Lu et al. 2022, arXiv 2211.01095, algorithm 2, with alpha = 1 - sigma; the first and the
last step are of first order, as in diffusers' DPMSolverMultistepScheduler.
"""

from math import inf, log

import torch

from app.engine.state import DenoiseState


def multistep(state: DenoiseState, clean: torch.Tensor) -> torch.Tensor:
    """The next latents of a request, from what its model now takes the finished ones to be."""
    sigma, after = (float(state.sigmas[state.step + ahead]) for ahead in (0, 1))
    decay = after * (1 - sigma) / ((1 - after) * sigma)
    estimate = clean
    if state.clean is not None and state.steps_left > 1:
        before = float(state.sigmas[state.step - 1])
        estimate = clean + 0.5 * _ratio(before, sigma, after) * (clean - state.clean)
    moved = (after / sigma) * state.latents + (1 - after) * (1 - decay) * estimate
    return moved.to(state.latents.dtype)


def _ratio(before: float, sigma: float, after: float) -> float:
    """This step's length by the last one's, in half the logarithm of signal to noise."""
    start, middle, end = _log_snr(before), _log_snr(sigma), _log_snr(after)
    return (end - middle) / (middle - start)


def _log_snr(sigma: float) -> float:
    return log((1 - sigma) / sigma) if sigma < 1 else -inf
