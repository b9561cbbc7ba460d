"""What the engine makes of a machine: ratios between contenders inside one run, never promises.

Contenders take turns in every round, so that a busy machine disturbs all of them alike; on a CPU
the clock is the process's own CPU time. Runs without Ray.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from time import process_time
from typing import TypeAlias

import torch

from app.engine.cost_curve import CostCurve
from app.engine.row_budget import BUCKETS, GUIDED_ROWS
from app.models.random_weights import COMPUTE_BOUND, OVERHEAD_BOUND, Sd3Shape, random_sd3
from app.models.sd3 import Sd3Pipeline
from app.types import Value
from jobs.bench.engine.baselines import (
    Subject,
    bare_loop,
    engine,
    one_at_a_time,
    replay,
    seconds_per_pass,
    stock_pipeline,
)
from jobs.bench.engine.simulated_policies import (
    Batch,
    Served,
    keyed_static,
    request_level,
    sequential,
)
from jobs.bench.engine.traces import MAX_ROWS, SATURATED, Arrival, CostTable, TraceKind, trace

Say: TypeAlias = Callable[[str], None]
STEPS = 8
CURVE_BUCKETS = tuple(rows for rows in BUCKETS if rows <= 2 * MAX_ROWS)
TRACES: tuple[tuple[TraceKind, float], ...] = (("presets", 0.5), ("free", SATURATED))
TRACE_REQUESTS = 40
TRACE_ROUNDS = 3


class Spread(Value):
    """A figure of several rounds: its median and its extremes."""

    median: float
    low: float
    high: float


class Pace(Value):
    """The engine's images per second as a share of another contender's, 1 being equal."""

    model: str
    guided: bool
    of_bare_loop: Spread
    of_one_at_a_time: Spread


class TraceRatio(Value):
    """The engine's figures on a trace as a share of a policy's: below 1 is quicker."""

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
    pace: tuple[Pace, ...]
    traces: tuple[TraceRatio, ...]


def cpu_subjects() -> tuple[Subject, ...]:
    """Models with random weights: bound by the overhead of a pass, by its sums, and between.

    The first two are one model at 16 and at 64 image tokens a row, with 32 text tokens.
    """
    torch.set_num_threads(1)
    return (
        cpu_subject("overhead-bound", OVERHEAD_BOUND, side=16, max_sequence_length=16),
        cpu_subject("between", OVERHEAD_BOUND, side=32, max_sequence_length=16),
        cpu_subject("compute-bound", COMPUTE_BOUND, side=64, max_sequence_length=256),
    )


def cpu_subject(name: str, shape: Sd3Shape, *, side: int, max_sequence_length: int) -> Subject:
    """A model with random weights on the CPU, its clock the CPU time of this process."""
    stock = random_sd3(shape)
    pipeline = Sd3Pipeline(stock, max_sequence_length=max_sequence_length)
    return Subject(name, pipeline, stock, side, MAX_ROWS, process_time)


def bench_engine(
    subjects: Sequence[Subject], rounds: int, say: Say, *, trace_requests: int = TRACE_REQUESTS
) -> EngineFigures:
    """Curves and pace of every subject, then the traces on the first; takes some minutes.

    The engine's row budget is the knee of the subject's own curve, as it is in service.
    """
    say("seconds of a step by its rows")
    curves = {subject.name: curve(subject, rounds) for subject in subjects}
    budgeted = [
        replace(subject, rows=max(curves[subject.name].knee, GUIDED_ROWS)) for subject in subjects
    ]
    paces = []
    for subject in budgeted:
        for guided in (False, True):
            say(f"pace of the {subject.name} model {'with' if guided else 'without'} guidance")
            paces.append(pace(subject, guided, rounds))
    first = budgeted[0]
    ratios: list[TraceRatio] = []
    for kind, load in TRACES:
        say(f"trace {kind}, {load_name(load)}")
        arrivals = [
            trace(
                kind, seed=seed, load=load, count=trace_requests, costs=_table(curves[first.name])
            )
            for seed in range(1, min(rounds, TRACE_ROUNDS) + 1)
        ]
        ratios += trace_ratios(first, kind, load, arrivals)
    return EngineFigures(rounds=rounds, curves=curves, pace=tuple(paces), traces=tuple(ratios))


def _table(curve: CostCurve) -> CostTable:
    return CostTable(tuple(sorted(curve.seconds.items())))


def curve(subject: Subject, rounds: int) -> CostCurve:
    """T(rows) of a subject, the median of interleaved rounds after one to warm up."""
    taken = [[seconds_per_pass(subject, rows) for rows in CURVE_BUCKETS] for _ in range(rounds + 1)]
    settings = subject.pipeline.settings
    return CostCurve(
        width=subject.side,
        height=subject.side,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        seconds={
            rows: median(one[column] for one in taken[1:])
            for column, rows in enumerate(CURVE_BUCKETS)
        },
    )


def pace(subject: Subject, guided: bool, rounds: int) -> Pace:
    """Sixteen rows of quick drafts, by each contender in turn."""
    one = Arrival(0.0, STEPS, guided, "draft")
    batch = [one] * (2 * MAX_ROWS // one.rows)
    taken = [
        (engine(subject, batch), bare_loop(subject, batch), one_at_a_time(subject, batch))
        for _ in range(rounds + 1)
    ][1:]
    return Pace(
        model=subject.name,
        guided=guided,
        of_bare_loop=spread([bare / ours for ours, bare, _ in taken]),
        of_one_at_a_time=spread([plain / ours for ours, _, plain in taken]),
    )


def trace_ratios(
    subject: Subject, kind: TraceKind, load: float, traces: Sequence[Batch]
) -> list[TraceRatio]:
    """Each trace by every policy in turn, every image really made."""
    run = stock_pipeline(subject)
    served = [
        {
            "engine": replay(subject, arrivals, mode="reproducible"),
            "mode fast": replay(subject, arrivals, mode="fast"),
            "keyed static": keyed_static(arrivals, run),
            "request-level": request_level(arrivals, run),
            "sequential": sequential(arrivals, run),
        }
        for arrivals in traces
    ]
    return [
        TraceRatio(
            trace=kind,
            load=load_name(load),
            policy=policy,
            mean_latency=_share(served, policy, lambda one: one.mean),
            p95_latency=_share(served, policy, lambda one: one.p95),
            draft_p95_latency=_share(served, policy, lambda one: one.draft_p95),
            images_per_second=_share(served, policy, lambda one: one.images_per_second),
        )
        for policy in served[0]
        if policy != "engine"
    ]


def _share(
    served: Sequence[dict[str, Served]], policy: str, figure: Callable[[Served], float]
) -> Spread:
    return spread([figure(one["engine"]) / figure(one[policy]) for one in served])


def spread(values: Sequence[float]) -> Spread:
    """Median and extremes, to three digits behind the point."""
    return Spread(
        median=round(median(values), 3), low=round(min(values), 3), high=round(max(values), 3)
    )


def load_name(load: float) -> str:
    """How a load is said: 0.5, or saturated."""
    return "saturated" if load == SATURATED else f"load {load:g}"
