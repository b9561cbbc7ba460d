"""The engine's speed on this machine: ratios between contenders within one run.

Contenders alternate in every round, so that a busy machine disturbs all of them equally; on a CPU
the clock is the process's own CPU time. Runs without Ray.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import process_time

import torch

from app.cli.output import Say
from app.engine.cost_curve import CostCurve
from app.engine.row_budget import BUCKETS, GUIDED_ROWS
from app.models.random_weights import COMPUTE_BOUND, OVERHEAD_BOUND, Sd3Shape, random_sd3
from app.models.sd3 import Sd3Pipeline
from app.types import Value
from jobs.bench.engine.baselines import (
    ModelUnderTest,
    bare_loop,
    one_at_a_time,
    replay_trace,
    run_engine,
    seconds_per_pass,
    stock_pipeline,
)
from jobs.bench.engine.simulated_policies import (
    Batch,
    TraceResult,
    serve_request_level,
    serve_sequentially,
    serve_static_batches,
)
from jobs.bench.engine.traces import MAX_ROWS, SATURATED, Arrival, CostTable, TraceKind, make_trace

STEPS = 8
CURVE_BUCKETS = tuple(rows for rows in BUCKETS if rows <= 2 * MAX_ROWS)
TRACES: tuple[tuple[TraceKind, float], ...] = (("presets", 0.5), ("free", SATURATED))
TRACE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Extent:
    """How often the contenders take turns, and the requests of a trace."""

    rounds: int
    trace_requests: int = 40


class Spread(Value):
    """A figure of several rounds: its median and its extremes."""

    median: float
    low: float
    high: float


class ThroughputRatio(Value):
    """The engine's images per second as a share of another contender's; 1 is equal."""

    model: str
    guided: bool
    of_bare_loop: Spread
    of_one_at_a_time: Spread


class TraceRatio(Value):
    """The engine's figures on a trace as a share of a policy's: below 1 is faster."""

    trace: TraceKind
    load: str
    policy: str
    mean_latency: Spread
    p95_latency: Spread
    draft_p95_latency: Spread
    images_per_second: Spread


class EngineFigures(Value):
    """All that `bench-engine` measures on a CPU."""

    rounds: int
    curves: dict[str, CostCurve]
    pace: tuple[ThroughputRatio, ...]
    traces: tuple[TraceRatio, ...]


def cpu_models() -> tuple[ModelUnderTest, ...]:
    """Returns models with random weights: bound by a pass's overhead, by its arithmetic, and
    between.

    The first two are one model at 16 and at 64 image tokens a row, with 32 text tokens.
    """
    torch.set_num_threads(1)
    return (
        cpu_model("overhead-bound", OVERHEAD_BOUND, side=16, max_sequence_length=16),
        cpu_model("between", OVERHEAD_BOUND, side=32, max_sequence_length=16),
        cpu_model("compute-bound", COMPUTE_BOUND, side=64, max_sequence_length=256),
    )


def cpu_model(name: str, shape: Sd3Shape, *, side: int, max_sequence_length: int) -> ModelUnderTest:
    """Returns a model with random weights on the CPU; its clock is the CPU time of this process."""
    stock = random_sd3(shape)
    pipeline = Sd3Pipeline(stock, max_sequence_length=max_sequence_length)
    return ModelUnderTest(name, pipeline, stock, side, MAX_ROWS, process_time)


def bench_engine(subjects: Sequence[ModelUnderTest], extent: Extent, say: Say) -> EngineFigures:
    """Measures curves and throughput of every model, then the traces on the first; some minutes.

    The engine's row budget is the knee of the model's own curve, as it is in service.
    """
    rounds = extent.rounds
    say("seconds of a step by its rows")
    curves = {model.name: measure_curve(model, rounds) for model in subjects}
    budgeted = [
        replace(model, rows=max(curves[model.name].knee, GUIDED_ROWS)) for model in subjects
    ]
    paces = []
    for model in budgeted:
        for guided in (False, True):
            say(f"pace of the {model.name} model {'with' if guided else 'without'} guidance")
            paces.append(measure_throughput(model, guided, rounds))
    first = budgeted[0]
    ratios, costs = list[TraceRatio](), _table(curves[first.name])
    for kind, load in TRACES:
        say(f"trace {kind}, {load_name(load)}")
        arrivals = [
            make_trace(kind, seed=seed, load=load, count=extent.trace_requests, costs=costs)
            for seed in range(1, min(rounds, TRACE_ROUNDS) + 1)
        ]
        ratios += trace_ratios(first, kind, load, arrivals)
    return EngineFigures(rounds=rounds, curves=curves, pace=tuple(paces), traces=tuple(ratios))


def _table(curve: CostCurve) -> CostTable:
    return CostTable(tuple(sorted(curve.seconds.items())))


def measure_curve(model: ModelUnderTest, rounds: int) -> CostCurve:
    """Returns T(rows) of a model, the median of interleaved rounds after one to warm up."""
    taken = [[seconds_per_pass(model, rows) for rows in CURVE_BUCKETS] for _ in range(rounds + 1)]
    settings = model.pipeline.settings
    return CostCurve(
        width=model.side,
        height=model.side,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        seconds={
            rows: median(times[column] for times in taken[1:])
            for column, rows in enumerate(CURVE_BUCKETS)
        },
    )


def measure_throughput(model: ModelUnderTest, guided: bool, rounds: int) -> ThroughputRatio:
    """Measures sixteen rows of quick drafts, by each contender in turn."""
    arrival = Arrival(0.0, STEPS, guided, "draft")
    batch = [arrival] * (2 * MAX_ROWS // arrival.rows)
    taken = [
        (run_engine(model, batch), bare_loop(model, batch), one_at_a_time(model, batch))
        for _ in range(rounds + 1)
    ][1:]
    return ThroughputRatio(
        model=model.name,
        guided=guided,
        of_bare_loop=spread([bare / ours for ours, bare, _ in taken]),
        of_one_at_a_time=spread([plain / ours for ours, _, plain in taken]),
    )


def trace_ratios(
    model: ModelUnderTest, kind: TraceKind, load: float, traces: Sequence[Batch]
) -> list[TraceRatio]:
    """Serves each trace by every policy in turn, really making every image; returns ratios."""
    run = stock_pipeline(model)
    served = [
        {
            "engine": replay_trace(model, arrivals, mode="reproducible"),
            "mode fast": replay_trace(model, arrivals, mode="fast"),
            "keyed static": serve_static_batches(arrivals, run),
            "request-level": serve_request_level(arrivals, run),
            "sequential": serve_sequentially(arrivals, run),
        }
        for arrivals in traces
    ]
    return [
        TraceRatio(
            trace=kind,
            load=load_name(load),
            policy=policy,
            mean_latency=_share(served, policy, lambda trace_result: trace_result.mean),
            p95_latency=_share(served, policy, lambda trace_result: trace_result.p95),
            draft_p95_latency=_share(served, policy, lambda trace_result: trace_result.draft_p95),
            images_per_second=_share(
                served, policy, lambda trace_result: trace_result.images_per_second
            ),
        )
        for policy in served[0]
        if policy != "engine"
    ]


def _share(
    served: Sequence[dict[str, TraceResult]], policy: str, figure: Callable[[TraceResult], float]
) -> Spread:
    return spread(
        [
            figure(round_results["engine"]) / figure(round_results[policy])
            for round_results in served
        ]
    )


def spread(values: Sequence[float]) -> Spread:
    """Returns median and extremes, rounded to three decimals."""
    return Spread(
        median=round(median(values), 3), low=round(min(values), 3), high=round(max(values), 3)
    )


def load_name(load: float) -> str:
    """Returns the printed form of a load: `load 0.5`, or `saturated`."""
    return "saturated" if load == SATURATED else f"load {load:g}"
