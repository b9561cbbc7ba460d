"""SD3.5 at full size on a GPU: every figure beside the floor that the device's own speed sets.

Sections run in order of worth; one that no longer fits into the time is skipped, one that fails
is told, and neither stops the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import TypeAlias

import torch

from app.errors import AtelierError, InvalidRequest
from app.types import Value
from jobs.bench.engine.full_size_models import LARGE, MEDIUM, FullSize

Say: TypeAlias = Callable[[str], None]


class Figure(Value):
    """One number; `share_of_floor` is of what the device's matrix product allows, 1 at best."""

    section: str
    what: str
    value: float
    unit: str
    share_of_floor: float | None = None


class FullSizeFigures(Value):
    """All that `bench-engine --full-size` measured, skipped and failed to measure."""

    device: str
    torch: str
    seconds: float
    figures: tuple[Figure, ...]
    skipped: tuple[str, ...]
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the run is. `sides` are the picture sizes, the smaller first."""

    device: str
    dtype: torch.dtype
    medium: FullSize
    large: FullSize
    sides: tuple[int, int]
    matmul: int
    attention_lengths: tuple[int, ...]
    steps: int
    compiler: str
    seconds: float
    rounds: int


FULL = Scale(
    device="cuda",
    dtype=torch.bfloat16,
    medium=MEDIUM,
    large=LARGE,
    sides=(512, 1024),
    matmul=8192,
    attention_lengths=(1357, 4429),
    steps=28,
    compiler="inductor",
    seconds=540.0,
    rounds=2,
)
_CUT = replace(
    MEDIUM,
    layers=2,
    heads=1,
    dual_attention_layers=(0,),
    pos_embed_max_size=16,
    text_layers=(1, 1),
    vae_widths=(32, 32, 32, 32),
)
TINY = Scale(
    device="cpu",
    dtype=torch.float32,
    medium=_CUT,
    large=replace(_CUT, name="sd3.5-large", layers=1, dual_attention_layers=()),
    sides=(32, 64),
    matmul=64,
    attention_lengths=(13,),
    steps=2,
    compiler="eager",
    seconds=540.0,
    rounds=1,
)
"""The same run in seconds on a CPU: its numbers mean nothing, its path is the same."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the run and the seconds it may take, estimated before."""

    name: str
    seconds: float
    run: Callable[[], Iterable[Figure]]


def bench_full_size(
    scale: Scale, say: Say, *, clock: Callable[[], float] = monotonic
) -> FullSizeFigures:
    """Run what fits into the scale's seconds; raises InvalidRequest without the device."""
    if scale.device == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest(
            "--full-size needs a GPU and PyTorch finds none; run it on a machine with CUDA, "
            "or leave --full-size away to measure small models on this CPU"
        )
    from jobs.bench.engine.full_size import sections

    started = clock()
    figures: list[Figure] = []
    skipped: list[str] = []
    failed: list[str] = []
    for section in sections(scale):
        left = scale.seconds - (clock() - started)
        if section.seconds > left:
            skipped.append(f"skipped {section.name}: takes {section.seconds:g} s, {left:.0f} left")
            say(skipped[-1])
            continue
        try:
            for figure in section.run():
                figures.append(figure)
                say(_line(figure))
        except (AtelierError, RuntimeError) as error:  # of this section; the next may still do
            failed.append(f"failed {section.name}: {type(error).__name__}: {error}")
            say(failed[-1])
    return FullSizeFigures(
        device=torch.cuda.get_device_name() if scale.device == "cuda" else scale.device,
        torch=torch.__version__,
        seconds=round(clock() - started, 1),
        figures=tuple(figures),
        skipped=tuple(skipped),
        failed=tuple(failed),
    )


def _line(figure: Figure) -> str:
    share = "" if figure.share_of_floor is None else f", {figure.share_of_floor:.0%} of the floor"
    return f"{figure.section}: {figure.what} {figure.value:g} {figure.unit}{share}"
