"""The device's own speed: the matrix product that lower bounds are computed from, and attention."""

from collections.abc import Callable
from statistics import median

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

ROUNDS = 5
REPEATS = 5
HEAD_WIDTH = 64


def matrix_product(side: int, device: str, dtype: torch.dtype, now: Callable[[], float]) -> float:
    """Returns the FLOP/s of a square matrix product of random numbers."""
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: left @ right, now)


def attention(
    heads: int, length: int, device: str, dtype: torch.dtype, now: Callable[[], float]
) -> tuple[float, float]:
    """Returns the FLOP/s of PyTorch's choice of kernel, and its largest error."""
    shape = (1, heads, length, HEAD_WIDTH)
    query, key, value = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    speed = (
        4
        * heads
        * length**2
        * HEAD_WIDTH
        / seconds_of(lambda: scaled_dot_product_attention(query, key, value), now)
    )
    with sdpa_kernel(SDPBackend.MATH):
        exact = scaled_dot_product_attention(query.float(), key.float(), value.float())
    error = (scaled_dot_product_attention(query, key, value).float() - exact).abs().max()
    return speed, error.item()


@torch.inference_mode()
def seconds_of(call: Callable[[], object], now: Callable[[], float]) -> float:
    """Returns the seconds of one call among several queued together: the median of some rounds."""
    taken = []
    for _ in range(ROUNDS + 1):
        started = now()
        for _ in range(REPEATS):
            call()
        taken.append((now() - started) / REPEATS)
    return median(taken[1:])
