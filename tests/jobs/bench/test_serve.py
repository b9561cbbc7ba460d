"""The service's benchmark: its arrivals, its client and its sums; and one real cell of it."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.api.requests import ImagesRequest
from app.errors import BackendError
from app.image.png import png_bytes, read_png
from jobs.bench.engine.bench import spread
from jobs.bench.engine.traces import Arrival, TraceKind
from jobs.bench.serve.arrivals import TimedRequest, timed_requests
from jobs.bench.serve.bench import TRACES
from jobs.bench.serve.client import (
    BROKEN,
    GAVE_UP,
    HttpClient,
    Reply,
    RequestOutcome,
    closed_loop,
    new_client,
    open_loop,
)
from jobs.bench.serve.figures import (
    LatencyFigures,
    LoadCell,
    Overhead,
    ServeFigures,
    Throughput,
    cell,
    delay,
    draft_ratio,
    overload,
    pace_ratio,
)
from jobs.bench.serve.render import draw_serve_figures, serve_goals, show_serve_figures
from jobs.bench.serve.servers import OTHERS, OURS, Server, document, running_server

PNG = png_bytes(np.zeros((2, 2, 4), np.uint8), text={})


def arriving(*times: float, kind: str = "draft", steps: int = 8) -> list[TimedRequest]:
    """Requests at these times."""
    request = ImagesRequest(prompt="a red potion", steps=steps, guidance=1)
    return [TimedRequest(Arrival(at, steps, False, kind), request) for at in times]


def outcomes(*ends: tuple[int, float], every: float = 1.0) -> list[RequestOutcome]:
    """One request after the other, each with its status and its seconds."""
    at = [index * every for index in range(len(ends))]
    return [
        RequestOutcome(request, status, request.arrival.at + seconds)
        for request, (status, seconds) in zip(arriving(*at), ends, strict=True)
    ]


@pytest.mark.parametrize("kind", TRACES)
def test_a_trace_arrives_at_the_rate_and_asks_what_it_always_asks(kind: TraceKind) -> None:
    slow = timed_requests(kind, 50, images_per_second=2)
    quick = timed_requests(kind, 50, images_per_second=8)
    assert slow[-1].arrival.at == pytest.approx(25)
    assert [request.arrival.at for request in slow] == pytest.approx(
        [4 * request.arrival.at for request in quick]
    )
    assert [request.request for request in slow] == [request.request for request in quick]
    assert all(request.request.steps == request.arrival.steps for request in slow)
    assert all((request.request.guidance == 1) != request.arrival.guided for request in slow)
    assert len({(request.request.prompt, request.request.seed) for request in slow}) == 50


def test_a_longer_cell_begins_as_a_shorter_one() -> None:
    short, long = (
        timed_requests("free", 10, images_per_second=1),
        timed_requests("free", 40, images_per_second=1),
    )
    assert [request.request for request in long[:10]] == [request.request for request in short]


def test_a_latency_counts_from_when_the_request_was_to_be_sent() -> None:
    """A client that is half a second late for it says so."""

    async def call(wanted: TimedRequest) -> Reply:
        return Reply(200, PNG)

    (late,) = asyncio.run(open_loop(call, arriving(-0.5)))
    assert late.seconds >= 0.5


def test_a_client_without_patience_hangs_up_and_the_caller_is_cancelled() -> None:
    left: list[TimedRequest] = []

    async def call(wanted: TimedRequest) -> Reply:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            left.append(wanted)
            raise
        return Reply(200)

    wanted = arriving(0, 0.01)
    outcomes = asyncio.run(open_loop(call, wanted, patience_seconds=0.02))
    assert [outcome.status for outcome in outcomes] == [GAVE_UP, GAVE_UP]
    assert left == wanted


def test_so_many_clients_ask_again_until_nothing_waits() -> None:
    under_way: list[int] = []
    now = 0

    async def call(wanted: TimedRequest) -> Reply:
        nonlocal now
        now += 1
        under_way.append(now)
        await asyncio.sleep(0)
        now -= 1
        return Reply(200)

    asyncio.run(closed_loop(call, arriving(*range(7)), clients=3))
    assert (len(under_way), max(under_way)) == (7, 3)


def test_saturation_without_an_image_is_none() -> None:
    async def call(wanted: TimedRequest) -> Reply:
        return Reply(429)

    with pytest.raises(BackendError, match="429"):
        asyncio.run(closed_loop(call, arriving(0), clients=1))


def over_http(story: Callable[[httpx.AsyncClient], Awaitable[Reply]]) -> Reply:
    """A story told to a small service that answers as the real ones do."""

    async def run_story() -> Reply:
        transport = httpx.ASGITransport(app=_service())
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await story(client)

    return asyncio.run(run_story())


def _service() -> FastAPI:
    app = FastAPI()
    image = {"b64_json": b64encode(PNG).decode()}

    @app.post("/generate")
    async def generate(wanted: ImagesRequest) -> Response:
        if not wanted.stream:
            return JSONResponse({"data": [image]})
        sketch = "event: image_generation.partial_image\ndata: {}\n\n"
        done = JSONResponse(image).body.decode()
        events = [sketch, sketch, f"event: image_generation.completed\ndata: {done}\n\n"]
        return StreamingResponse(iter(events), media_type="text/event-stream")

    @app.post("/torn")
    async def torn() -> Response:
        return StreamingResponse(iter(['event: error\ndata: {"error": {}}\n\n']))

    @app.post("/full")
    async def full() -> Response:
        return Response(status_code=429)

    return app


def test_a_draft_is_answered_at_once_and_a_long_request_is_streamed() -> None:
    (draft,), (long,) = arriving(0), arriving(0, kind="polish", steps=28)
    plain = over_http(lambda client: HttpClient(client, "/generate", previews=True)(draft))
    assert (plain.status, plain.png, plain.first_at) == (200, PNG, None)
    streamed = over_http(lambda client: HttpClient(client, "/generate", previews=True)(long))
    assert (streamed.status, streamed.png) == (200, PNG)
    assert streamed.first_at is not None
    never = over_http(lambda client: HttpClient(client, "/generate", previews=False)(long))
    assert (never.status, never.png, never.first_at) == (200, PNG, None)


@pytest.mark.parametrize(("path", "status"), [("/full", 429), ("/torn", BROKEN), ("/no", 404)])
def test_what_is_no_image_is_not_taken_for_one(path: str, status: int) -> None:
    (request,) = arriving(0)
    reply = over_http(lambda client: HttpClient(client, path, previews=False)(request))
    assert (reply.status, reply.png) == (status, b"")


def test_a_cell_counts_only_those_that_got_an_image() -> None:
    measured = cell("x", "presets", 0.6, outcomes((200, 1.0), (200, 3.0), (503, 0.1), (-1, 9.0)))
    assert (measured.requests, measured.mean, measured.dropped_share) == (4, 2.0, 0.5)
    assert measured.p95 == measured.draft_p95 == pytest.approx(2.9)
    assert measured.first_preview_p50 is None
    nothing = cell("x", "presets", 0.6, outcomes((429, 0.1)))
    assert (nothing.mean, nothing.p95, nothing.dropped_share) == (None, None, 1.0)


def test_a_preview_is_timed_and_long_requests_are_no_drafts() -> None:
    (long,) = arriving(0, kind="polish", steps=28)
    measured = cell("x", "free", 0.3, [RequestOutcome(long, 200, 4.0, first_seconds=1.5)])
    assert (measured.p95, measured.draft_p95) == (4.0, None)
    assert (measured.first_preview_p50, measured.first_preview_p95) == (1.5, 1.5)


def test_goodput_is_what_came_in_time_over_what_could_have_come() -> None:
    drafts = outcomes((200, 0.5), (429, 0.01), (0, 3.0), (-1, 0.2))  # at 0, 1, 2 and 3 s
    (long,) = arriving(4.0, kind="polish", steps=32)
    measured = overload(
        "x", 5.0, [*drafts, RequestOutcome(long, 200, 5.0)], images_per_second=2, patience_seconds=3
    )
    assert measured.image_share == pytest.approx(2 / (2 * 5.0))
    mean_work = (4 * 8 + 32) / 5
    assert measured.work_share == pytest.approx((8 + 32) / mean_work / (2 * 5.0))
    assert (measured.shed_share, measured.gave_up_share, measured.broken_share) == (0.2, 0.2, 0.2)
    assert measured.shed_p95 == 0.01


def test_percentiles_of_known_numbers() -> None:
    assert delay([float(second) for second in range(101)]) == LatencyFigures(p50=50, p99=99)


def figures() -> ServeFigures:
    """Two services and one that is missing, with round numbers."""
    cells = [
        LoadCell(
            service=service, trace="free", load=0.6, requests=9, mean=mean, p95=mean,
            draft_p95=mean / 2, first_preview_p50=None, first_preview_p95=None, dropped_share=0,
        )
        for service, mean in (("atelier", 1.0), ("ray serve", 4.0))
    ]  # fmt: skip
    paces = [
        Throughput(
            service=service, trace="free", images_per_second=spread([10 * share]),
            of_in_process=spread([share]), cpu_ms=90, in_process_cpu_ms=70,
        )
        for service, share in (("atelier", 0.95), ("ray serve", 0.5))
    ]  # fmt: skip
    flood = overload("atelier", 5.0, outcomes((200, 1.0)), images_per_second=10, patience_seconds=3)
    delay = LatencyFigures(p50=0.1, p99=0.2)
    return ServeFigures(
        seconds_a_cell=12,
        clients=16,
        capacity={"free": 10.0},
        overhead=Overhead(requests=5, in_process=delay, http=delay),
        cells=tuple(cells),
        paces=tuple(paces),
        overloads=(flood,),
        largest_pixel_difference={"atelier": 0},
        missing={"litserve": "litserve is not installed; pip install '.[bench]'"},
    )


def test_ratios_are_against_the_best_of_the_others() -> None:
    serve_figures = figures()
    assert draft_ratio(serve_figures, "free", "atelier") == 0.25
    assert pace_ratio(serve_figures, "free", "atelier") == 1.9
    alone = serve_figures.replace(cells=serve_figures.cells[:1], paces=serve_figures.paces[:1])
    assert draft_ratio(alone, "free", "atelier") is None
    assert pace_ratio(alone, "free", "atelier") is None


def test_figures_are_the_same_after_json() -> None:
    assert ServeFigures.model_validate_json(figures().model_dump_json()) == figures()


def test_figures_are_said_with_what_was_missing_and_what_was_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_serve_figures(figures())
    output = " ".join(capsys.readouterr().out.split())
    assert "ray serve 0.6 1.20 4.00 4.00 2.00 - - 0.0%" in output
    assert "litserve: litserve is not installed; pip install '.[bench]'" in output
    assert "the engine made 10.0 to 10.0 images/s in process" in output
    goals = list(serve_goals(figures()))
    assert [goal.text for goal in goals] == [
        "free: images/s of the engine's in process: 0.95, at least 0.90 wanted",
        "free: drafts' p95 of the best other's: 0.25, at most 0.40 wanted",
        "free: images/s of the best other's: 1.90, at least 1.50 wanted",
    ]
    assert all(goal.met for goal in goals)
    worse = figures().paces[0].replace(of_in_process=spread([0.6]))
    goals = list(serve_goals(figures().replace(paces=(worse, figures().paces[1]))))
    assert [goal.met for goal in goals] == [False, True, False]


def test_figures_are_drawn(tmp_path: Path) -> None:
    draw_serve_figures(figures(), tmp_path / "chart.png")
    assert min(read_png((tmp_path / "chart.png").read_bytes()).shape[:2]) > 300


def test_every_service_gets_the_same_model_on_one_thread() -> None:
    args = document()["applications"][0]["args"]
    draft = args["draft"]
    assert set(args) == {"router", "draft", "follow"}
    assert (draft["model"], draft["threads"]) == ("starter", 1)
    assert draft["replicas"]["max_replicas"] == 1


def test_a_contender_that_is_not_installed_says_how_to_install_it() -> None:
    missing = Server("x", "x", "/", needs="no_such_package").missing
    assert missing == (
        "no_such_package is not installed; pip install -c constraints.txt -e '.[bench]'"
    )
    assert not OURS.missing
    assert len({server.name for server in (OURS, *OTHERS)}) == 4


def test_a_service_that_does_not_start_is_quoted() -> None:
    with (
        pytest.raises(BackendError, match=r"(?s)x does not answer.*No module named"),
        running_server(Server("x", "no_such_module", "/")),
    ):
        raise AssertionError("it runs")


@pytest.mark.slow
def test_the_contenders_paint_the_engines_picture_whatever_else_is_in_the_batch() -> None:
    from jobs.bench.serve.in_process import InProcessEngine
    from jobs.bench.serve.plain_diffusers import PlainDiffusers

    wanted = timed_requests("presets", 6, images_per_second=1)
    assert len({(request.request.steps, request.request.guidance) for request in wanted}) > 1

    async def ours() -> list[bytes]:
        engine = InProcessEngine("exact")
        made = [(await engine(request)).png for request in wanted]
        await engine.close()
        return made

    theirs = PlainDiffusers().render([request.request for request in wanted])
    for png, image in zip(asyncio.run(ours()), theirs, strict=True):
        difference = np.abs(read_png(png).astype(int) - np.array(image).astype(int))
        assert difference.max() <= 2


@pytest.mark.slow
def test_the_smallest_cell_runs_against_the_real_service() -> None:
    async def story(url: str) -> list[RequestOutcome]:
        async with new_client(url) as client:
            wanted = timed_requests("presets", 10, images_per_second=20)
            return await open_loop(HttpClient(client, OURS.path, previews=True), wanted)

    with running_server(OURS) as service:
        measured = cell("atelier", "presets", 1.0, asyncio.run(story(service.url)))
        assert service.cpu_seconds() > 0
    assert (measured.requests, measured.dropped_share) == (10, 0)
    assert measured.draft_p95
    assert measured.first_preview_p50
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url)
