"""Finds the row counts of a forward pass that give the same bits on this machine.

A matrix library chooses its kernels by shape and processor, and two kernels may sum in different
orders. So nothing is assumed: the counts are compared bit by bit, with the model's real shapes.
"""

from dataclasses import replace

import torch

from app.engine.pipeline import Pipeline, Rows, stack
from app.engine.row_budget import BUCKETS, GUIDED_ROWS
from app.errors import OutOfMemory
from app.types import GenerationRequest

PROMPTS = ("a red gem", "a blue coin", "a green key", "a plain sword")


@torch.inference_mode()
def exact_rows(pipeline: Pipeline, width: int, height: int, budget: int) -> tuple[int, ...]:
    """Returns the row counts whose bits are those of a pass of `budget` rows, in ascending order.

    The last is `budget` itself. Empty when even there a row's bits depend on its position, or when
    that many rows do not fit into memory: then nothing is proven. A single row is never tried,
    because matrix libraries compute one row as a matrix-vector product.
    """
    rows = distinct_rows(pipeline, width, height, budget)
    try:
        whole = pipeline.predict(rows).clone()  # a replayed graph overwrites its output
        if not _same_when_moved(pipeline, rows, whole):
            return ()
        smaller = (count for count in BUCKETS if GUIDED_ROWS <= count < budget)
        return (*(count for count in smaller if _agrees(pipeline, rows, whole, count)), budget)
    except OutOfMemory:
        return ()


def distinct_rows(pipeline: Pipeline, width: int, height: int, count: int) -> Rows:
    """Returns rows that differ in prompt, noise and timestep."""
    states = []
    for index in range(count):
        request = GenerationRequest(
            prompt=PROMPTS[index % len(PROMPTS)], seed=index, width=width, height=height,
            num_inference_steps=count, guidance_scale=0,
        )  # fmt: skip
        state = pipeline.begin(request)
        state.step = index
        states.append(state)
    return stack(states, count)


def _same_when_moved(pipeline: Pipeline, rows: Rows, whole: torch.Tensor) -> bool:
    half = len(whole) // 2
    order = [*range(half, len(whole)), *range(half)]
    return torch.equal(pipeline.predict(pick_rows(rows, order)), whole[order])


def _agrees(pipeline: Pipeline, rows: Rows, whole: torch.Tensor, count: int) -> bool:
    """Returns whether the first, the middle and the last `count` rows alone give the same bits."""
    for start in {0, (len(whole) - count) // 2, len(whole) - count}:
        order = list(range(start, start + count))
        if not torch.equal(pipeline.predict(pick_rows(rows, order)), whole[order]):
            return False
    return True


def pick_rows(rows: Rows, order: list[int]) -> Rows:
    """Returns these rows of a batch, in this order."""
    return replace(
        rows,
        latents=rows.latents[order],
        timesteps=rows.timesteps[order],
        tokens=rows.tokens[order],
        pooled=rows.pooled[order],
    )
