"""What the full-size run measures, section by section, the most important first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from time import monotonic, perf_counter
from typing import Any, TypeAlias

import torch

from app.cli.output import Say
from app.engine.cost_curve import measure
from app.engine.results import Preview, RenderedImage
from app.engine.row_budget import GUIDED_ROWS
from app.engine.state import Delivery, ServiceClass
from app.errors import AtelierError, EngineError, InvalidRequest
from app.models.device import choose_attention, compile_blocks
from app.models.sd3 import Sd3Pipeline
from app.types import Value
from jobs.bench.engine.baselines import (
    ModelUnderTest,
    bare_loop,
    one_at_a_time,
    run_engine,
    seconds_per_pass,
)
from jobs.bench.engine.device_limits import attention, matrix_product
from jobs.bench.engine.full_size_models import (
    LARGE,
    MAX_SEQUENCE_LENGTH,
    MEDIUM,
    FullSize,
    decode_flops,
    forward_flops,
    materialise,
    on_meta,
)
from jobs.bench.engine.traces import Arrival


class Figure(Value):
    """One number; `share_of_floor` compares with the device's matrix product, 1 at best."""

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
class FullSizeScale:
    """How large the run is. `sides` are the image sizes, the smaller first."""

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


FULL = FullSizeScale(
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
_SHRUNK = replace(
    MEDIUM,
    layers=2,
    heads=1,
    dual_attention_layers=(0,),
    pos_embed_max_size=16,
    text_layers=(1, 1),
    vae_widths=(32, 32, 32, 32),
)
TINY = FullSizeScale(
    device="cpu",
    dtype=torch.float32,
    medium=_SHRUNK,
    large=replace(_SHRUNK, name="sd3.5-large", layers=1, dual_attention_layers=()),
    sides=(32, 64),
    matmul=64,
    attention_lengths=(13,),
    steps=2,
    compiler="eager",
    seconds=540.0,
    rounds=1,
)
"""The same run in seconds on a CPU: its numbers mean nothing, its code path is the same."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the run and the seconds it may take, estimated beforehand."""

    name: str
    seconds: float
    run: Callable[[], Iterable[Figure]]


def bench_full_size(
    scale: FullSizeScale, say: Say, *, clock: Callable[[], float] = monotonic
) -> FullSizeFigures:
    """Runs what fits into the scale's seconds; raises InvalidRequest without the device."""
    if scale.device == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest(
            "--full-size needs a GPU and PyTorch finds none; run it on a machine with CUDA, "
            "or leave --full-size away to measure small models on this CPU"
        )

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
        except (AtelierError, RuntimeError) as error:  # of this section; the next may still work
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


Figures: TypeAlias = Iterator[Figure]
DRAFT_STEPS = 8
REPEATS = 5


@dataclass(slots=True)
class FullSizeBench:
    """What the sections share: the ceiling in FLOP/s, the models, their row budgets."""

    scale: FullSizeScale
    ceiling: float = 0.0
    stocks: dict[FullSize, Any] = field(default_factory=dict)
    flops: dict[tuple[FullSize, int], tuple[int, int]] = field(default_factory=dict)
    subjects: dict[tuple[FullSize, int], ModelUnderTest] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Returns whether there are streams and graphs."""
        return self.scale.device == "cuda"

    def now(self) -> float:
        """Returns the clock, once the device has done all its work."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return perf_counter()

    def stock(self, size: FullSize) -> Any:
        """Returns the model with random weights, made at first use, its FLOPs counted before."""
        if size not in self.stocks:
            stock = on_meta(size)
            for side in self.scale.sides:
                self.flops[size, side] = (forward_flops(stock, side), decode_flops(stock, side))
            self.stocks[size] = materialise(stock, self.scale.device, self.scale.dtype)
        return self.stocks[size]

    def pipeline(self, size: FullSize, *, graphs: bool) -> Sd3Pipeline:
        """Returns the engine's pipeline of a model."""
        stock = self.stock(size)
        return Sd3Pipeline(
            stock,
            max_sequence_length=MAX_SEQUENCE_LENGTH,
            attention=choose_attention(stock.transformer),
            graphs=graphs,
        )

    def subject(self, size: FullSize, side: int) -> ModelUnderTest:
        """Returns a model with a known row budget; raises EngineError when its curve is missing."""
        if (size, side) not in self.subjects:
            raise EngineError(f"{size.name} at {side} has no curve; see why its section failed")
        return self.subjects[size, side]

    def floor_seconds(self, size: FullSize, side: int, *, row_steps: int, images: int) -> float:
        """Returns the seconds this much work takes at the ceiling."""
        forward, decode = self.flops[size, side]
        return (row_steps * forward + images * decode) / self.ceiling


def sections(scale: FullSizeScale) -> list[Section]:
    """Returns all sections in order; each makes what it is the first to need."""
    bench = FullSizeBench(scale)
    small, big = scale.sides
    medium, large = scale.medium, scale.large
    cases = ((medium, small), (medium, big), (large, big))
    ways = ("eager", "graphs") if bench.on_gpu else ("eager",)
    all_sections = [Section("ceilings", 20, partial(_device_ceilings, bench))]
    for size, side in cases:
        for way in ways:
            name = f"{size.name} {side} {way}"
            all_sections.append(Section(name, 30, partial(_curve, bench, name, size, side, way)))
    all_sections.append(Section("unloaded draft", 15, partial(_draft, bench, medium, small)))
    paces = (
        (medium, small, DRAFT_STEPS, False, 30),
        (medium, small, scale.steps, True, 45),
        (large, big, scale.steps, True, 90),
    )
    for size, side, steps, guided, seconds in paces:
        name = f"{size.name} {side} {steps} steps{' guided' if guided else ''}"
        arrival = Arrival(0.0, steps, guided, "")
        all_sections.append(
            Section(name, seconds, partial(_pace, bench, name, size, side, arrival))
        )
    for size, side in cases:
        name = f"{size.name} {side} compiled"
        all_sections.append(Section(name, 90, partial(_compiled, bench, name, size, side)))
    return all_sections


def _device_ceilings(bench: FullSizeBench) -> Figures:
    scale = bench.scale
    where = (scale.device, scale.dtype, bench.now)
    bench.ceiling = matrix_product(scale.matmul, *where)
    name = f"matrix product of {scale.matmul}"
    yield _figure("ceilings", name, bench.ceiling / 1e12, "TFLOP/s")
    for heads in sorted({scale.medium.heads, scale.large.heads}):
        for length in scale.attention_lengths:
            name = f"attention, {heads} heads, {length} tokens"
            speed, error = attention(heads, length, *where)
            yield _figure("ceilings", name, speed / 1e12, "TFLOP/s", speed / bench.ceiling)
            yield _figure("ceilings", f"{name}: largest error", error, "")


def _curve(bench: FullSizeBench, section: str, size: FullSize, side: int, way: str) -> Figures:
    """Measures T(rows) and its knee; the last variant that works serves the later sections."""
    pipeline = bench.pipeline(size, graphs=way == "graphs")
    curve = measure(pipeline, side, side)
    for rows, seconds in curve.seconds.items():
        yield _step(bench, section, size, side, rows, seconds)
    yield _figure(section, "knee", curve.knee, "rows")
    rows = max(curve.knee, GUIDED_ROWS)  # as the engine has it
    bench.subjects[size, side] = ModelUnderTest(
        size.name, pipeline, bench.stock(size), side, rows, bench.now
    )


def _draft(bench: FullSizeBench, size: FullSize, side: int) -> Figures:
    """Measures one request alone: until the image, and until the first preview."""
    model = bench.subject(size, side)
    floor = bench.floor_seconds(size, side, row_steps=DRAFT_STEPS, images=1)
    whole = _median(lambda: _until(model, RenderedImage, Delivery(ServiceClass.INTERACTIVE)))
    yield _figure("unloaded draft", "picture", 1000 * whole, "ms", floor / whole)
    watched = Delivery(ServiceClass.INTERACTIVE, preview_every=1)
    first = _median(lambda: _until(model, Preview, watched))
    yield _figure("unloaded draft", "first preview", 1000 * first, "ms")


def _until(
    model: ModelUnderTest, event: type[Preview | RenderedImage], delivery: Delivery
) -> float:
    """Returns the seconds from the request to the first such event; the request runs to its end."""
    runner = model.engine(mode="fast", clock=perf_counter)
    seen_events: list[tuple[object, float]] = []
    started = model.now()
    runner.submit(model.request(Arrival(0.0, DRAFT_STEPS, False, ""), seed=0), delivery)
    while runner.busy:
        events = runner.step()
        seen_events += [(event.result, model.now()) for event in events]
    runner.close()
    return next(when for what, when in seen_events if isinstance(what, event)) - started


def _pace(
    bench: FullSizeBench, section: str, size: FullSize, side: int, arrival: Arrival
) -> Figures:
    """Measures two full batches by engine and bare loop in turn, two images by plain diffusers."""
    model = bench.subject(size, side)
    batch = [arrival] * (2 * model.rows // arrival.rows)
    contenders = ((run_engine, batch), (bare_loop, batch), (one_at_a_time, [arrival] * 2))
    for contender, work in contenders:
        contender(model, [replace(arrivals, steps=1) for arrivals in work])  # warm
    paces = [
        [len(work) / contender(model, work) for contender, work in contenders]
        for _ in range(bench.scale.rounds)
    ]
    ours, bare, plain = (median(column) for column in zip(*paces, strict=True))
    floor = bench.floor_seconds(size, side, row_steps=arrival.row_steps, images=1)
    yield _figure(section, "engine", ours, "images/s", floor * ours)
    yield _figure(section, "bare loop", bare, "images/s", floor * bare)
    yield _figure(section, "diffusers, one at a time", plain, "images/s", floor * plain)
    yield _figure(section, "engine of bare loop", ours / bare, "x")
    yield _figure(section, "engine of one at a time", ours / plain, "x")


def _compiled(bench: FullSizeBench, section: str, size: FullSize, side: int) -> Figures:
    """Compiles blocks, from here on: measures a step at the budget, and the engine's throughput."""
    torch._dynamo.reset()  # the code cache has room for few shapes
    stock, before = bench.stock(size), bench.subject(size, side)
    compile_blocks(stock.transformer, backend=bench.scale.compiler)
    model = replace(before, pipeline=bench.pipeline(size, graphs=bench.on_gpu))
    seconds = _median(lambda: seconds_per_pass(model, model.rows))
    yield _step(bench, section, size, side, model.rows, seconds)
    arrival = Arrival(0.0, bench.scale.steps, True, "")
    batch = [arrival] * (model.rows // arrival.rows)
    ours = len(batch) / median(run_engine(model, batch) for _ in range(bench.scale.rounds))
    floor = bench.floor_seconds(size, side, row_steps=arrival.row_steps, images=1)
    yield _figure(section, f"engine, {arrival.steps} steps guided", ours, "images/s", floor * ours)


def _median(timed: Callable[[], float]) -> float:
    return median([timed() for _ in range(REPEATS + 1)][1:])


def _step(
    bench: FullSizeBench, section: str, size: FullSize, side: int, rows: int, seconds: float
) -> Figure:
    floor = bench.floor_seconds(size, side, row_steps=rows, images=0)
    return _figure(section, f"step of {rows} rows", 1000 * seconds, "ms", floor / seconds)


def _figure(
    section: str, what: str, value: float, unit: str, share_of_floor: float | None = None
) -> Figure:
    return Figure(
        section=section, what=what, value=float(f"{value:.4g}"), unit=unit,
        share_of_floor=None if share_of_floor is None else float(f"{share_of_floor:.4g}"),
    )  # fmt: skip
