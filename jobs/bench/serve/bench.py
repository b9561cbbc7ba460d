"""The service's speed over HTTP on this machine, compared with others that serve the same model.

Services run in turn, each in processes of its own, and each is compared with the bare engine in the
same minute, so that a machine that changes its pace favours none. All get the same arrivals: a load
of 1 is what the bare engine can make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import process_time

import numpy as np

from app.cli.output import Say
from app.errors import BackendError
from app.image.png import read_png
from jobs.bench.engine.bench import spread
from jobs.bench.engine.traces import TraceKind
from jobs.bench.serve.arrivals import TimedRequest, lone_draft, timed_requests
from jobs.bench.serve.client import HttpClient, ImageClient, closed_loop, new_client, open_loop
from jobs.bench.serve.figures import (
    LoadCell,
    Overhead,
    Overload,
    ServeFigures,
    Throughput,
    cell,
    delay,
    overload,
)
from jobs.bench.serve.in_process import InProcessEngine
from jobs.bench.serve.servers import OTHERS, OURS, RunningServer, Server, document, running_server

TRACES: tuple[TraceKind, ...] = ("presets", "free")
CLIENTS = 16
"""Clients at once where a service is to be saturated: two full batches of eight."""
OVERLOAD = 5.0
OVERLOAD_TRACE: TraceKind = "presets"
PATIENCE = 10
"""In mean latencies of a lone request: the timeout of a client of an overloaded service."""
WARM_UP = 24
MIN_REQUESTS = 10
"""Requests of any measurement."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What is measured: seconds a cell, loads, the requests of everything else, and the others."""

    seconds: float
    loads: tuple[float, ...]
    overload_seconds: float
    saturating: int
    rounds: int
    lone: int
    others: tuple[Server, ...] = OTHERS


@dataclass(slots=True)
class _Measurements:
    """The measurements so far."""

    overhead: Overhead | None = None
    cells: list[LoadCell] = field(default_factory=list)
    paces: list[Throughput] = field(default_factory=list)
    overloads: list[Overload] = field(default_factory=list)
    differences: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _ServeBench:
    """The bare engine, its capacity by trace, and how long a client waits under overload."""

    engine: InProcessEngine
    extent: Extent
    capacity: dict[TraceKind, float]
    patience_seconds: float
    say: Say
    measured: _Measurements


async def bench_serve(extent: Extent, say: Say) -> ServeFigures:
    """Measures our service, then each of the others; one that is absent or fails is in `missing`.

    Raises BackendError when ours does not start, or refuses requests it should serve.
    """
    engine = InProcessEngine(document()["applications"][0]["args"]["draft"]["mode"])
    await _warm_up(engine)
    capacity = {kind: await _capacity(engine, kind, extent) for kind in TRACES}
    patience = PATIENCE * await _mean_alone(engine)
    bench = _ServeBench(engine, extent, capacity, patience, say, _Measurements())
    await _measure(bench, OURS)
    missing = {
        server.name: why for server in extent.others if (why := await _measure_other(bench, server))
    }
    await engine.close()
    assert bench.measured.overhead is not None
    return ServeFigures(
        seconds_a_cell=extent.seconds,
        clients=CLIENTS,
        capacity=capacity,
        overhead=bench.measured.overhead,
        cells=tuple(bench.measured.cells),
        paces=tuple(bench.measured.paces),
        overloads=tuple(bench.measured.overloads),
        largest_pixel_difference=bench.measured.differences,
        missing=missing,
    )


async def _capacity(engine: InProcessEngine, kind: TraceKind, extent: Extent) -> float:
    wanted = _saturating(kind, extent)
    seconds = [await closed_loop(engine, wanted, clients=CLIENTS) for _ in range(extent.rounds)]
    return len(wanted) / min(seconds)


async def _mean_alone(engine: InProcessEngine) -> float:
    """Returns the mean latency of the overload's first requests, each alone."""
    wanted = timed_requests(OVERLOAD_TRACE, MIN_REQUESTS, images_per_second=1.0)
    return await closed_loop(engine, wanted, clients=1) / len(wanted)


async def _warm_up(call: ImageClient) -> None:
    await closed_loop(
        call, timed_requests("presets", WARM_UP, images_per_second=1.0), clients=CLIENTS
    )


async def _measure_other(bench: _ServeBench, server: Server) -> str:
    """Measures one of the others; returns why it could not be, without affecting other figures."""
    why = server.missing
    if not why:
        try:
            await _measure(bench, server)
        except BackendError as error:
            why = str(error)
    if why:
        bench.say(why)
    return why


async def _measure(bench: _ServeBench, server: Server) -> None:
    """Measures everything about one service, between its start and its end."""
    bench.say(f"{server.name}: starting")
    with running_server(server) as service:
        async with new_client(service.url) as client:
            call = HttpClient(client, server.path, previews=False)
            await _warm_up(call)
            bench.measured.differences[server.name] = await _difference(bench.engine, call)
            if server.ours:
                bench.say(f"{server.name}: one request at a time")
                bench.measured.overhead = await _overhead(bench, call)
            for kind in TRACES:
                bench.measured.paces.append(await _pace(bench, server, service, kind, call))
            streamed = HttpClient(client, server.path, previews=server.ours)
            for kind in TRACES:
                for load in bench.extent.loads:
                    bench.measured.cells.append(await _cell(bench, server, kind, load, streamed))
            bench.measured.overloads.append(await _measure_overload(bench, server, call))


async def _difference(engine: InProcessEngine, call: ImageClient) -> int:
    """Returns the largest pixel difference between a service's image and the engine's, of 255."""
    wanted = timed_requests(OVERLOAD_TRACE, 1, images_per_second=1.0)[0]
    ours, other = [read_png((await caller(wanted)).png) for caller in (engine, call)]
    return int(np.abs(ours.astype(int) - other.astype(int)).max())


async def _overhead(bench: _ServeBench, call: ImageClient) -> Overhead:
    """Measures both in turns, so that both get the same moments of the machine."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for index in range(bench.extent.lone):
        for caller, taken in zip((bench.engine, call), seconds, strict=True):
            taken.append(await closed_loop(caller, [lone_draft(index)], clients=1))
    in_process, http = map(delay, seconds)
    return Overhead(requests=bench.extent.lone, in_process=in_process, http=http)


async def _pace(
    bench: _ServeBench, server: Server, service: RunningServer, kind: TraceKind, call: ImageClient
) -> Throughput:
    """Measures throughput with all clients, the bare engine and the service in turns."""
    wanted = _saturating(kind, bench.extent)
    here, there = _TimedTurns(process_time), _TimedTurns(service.cpu_seconds)
    for _ in range(bench.extent.rounds):
        await here.take(bench.engine, wanted)
        await there.take(call, wanted)
    pace = Throughput(
        service=server.name,
        trace=kind,
        images_per_second=spread([len(wanted) / seconds for seconds in there.seconds]),
        of_in_process=spread(
            [ours / theirs for ours, theirs in zip(here.seconds, there.seconds, strict=True)]
        ),
        cpu_ms=there.cpu_ms(len(wanted)),
        in_process_cpu_ms=here.cpu_ms(len(wanted)),
    )
    bench.say(f"{server.name}: {kind}, saturated, {pace.images_per_second.median} images/s")
    return pace


@dataclass(slots=True)
class _TimedTurns:
    """The wall seconds and the CPU time of one contender's turns."""

    cpu: Callable[[], float]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    async def take(self, call: ImageClient, wanted: Sequence[TimedRequest]) -> None:
        """Runs one turn with all clients."""
        before = self.cpu()
        self.seconds.append(await closed_loop(call, wanted, clients=CLIENTS))
        self.cpu_seconds.append(self.cpu() - before)

    def cpu_ms(self, images: int) -> float:
        """Returns milliseconds of CPU time per image, the median of the turns."""
        return round(1000 * median(self.cpu_seconds) / images, 1)


async def _cell(
    bench: _ServeBench, server: Server, kind: TraceKind, load: float, call: ImageClient
) -> LoadCell:
    rate = load * bench.capacity[kind]
    wanted = timed_requests(kind, _count(bench.extent.seconds, rate), images_per_second=rate)
    measured = cell(server.name, kind, load, await open_loop(call, wanted))
    bench.say(f"{server.name}: {kind}, load {load:g}, drafts' p95 {measured.draft_p95} s")
    return measured


async def _measure_overload(bench: _ServeBench, server: Server, call: ImageClient) -> Overload:
    """Measures overload; the capacity is what the engine made in this service's turns."""
    rate = OVERLOAD * bench.capacity[OVERLOAD_TRACE]
    wanted = timed_requests(
        OVERLOAD_TRACE, _count(bench.extent.overload_seconds, rate), images_per_second=rate
    )
    outcomes = await open_loop(call, wanted, patience_seconds=bench.patience_seconds)
    where = (server.name, OVERLOAD_TRACE)
    (pace,) = (pace for pace in bench.measured.paces if (pace.service, pace.trace) == where)
    measured = overload(
        server.name,
        OVERLOAD,
        outcomes,
        images_per_second=pace.in_process,
        patience_seconds=bench.patience_seconds,
    )
    bench.say(f"{server.name}: overloaded, {measured.image_share:.0%} of capacity served in time")
    return measured


def _saturating(kind: TraceKind, extent: Extent) -> list[TimedRequest]:
    return timed_requests(kind, extent.saturating, images_per_second=1.0)


def _count(seconds: float, rate: float) -> int:
    return max(round(seconds * rate), MIN_REQUESTS)
