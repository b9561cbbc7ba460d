"""The benchmark: figures of what is known, honest comparisons, and a record that is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, NoRoute
from app.image.png import png_bytes, read_png
from app.models.bundled import ECHO, bundled_models
from app.models.describe import describe, describe_bundled
from app.registry.benchmark import (
    BenchmarkResult,
    BenchTolerance,
    Machine,
    WorkItem,
    ranked,
    ranked_for,
)
from app.registry.references import available_models as everything
from app.registry.registry import open_registry
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import move
from app.types import Kind, Measure, Rule, Size, Verdict
from jobs.model_bench.check_worker import THUMBNAIL, CheckWorker, thumbnail
from jobs.model_bench.compare import compare
from jobs.model_bench.draw import draw_bench
from jobs.model_bench.participants import named_models, opponent_models
from jobs.model_bench.record import BenchHistory, shown_rows
from jobs.model_bench.render import StoredBenchmark, show_bench, show_history
from jobs.model_bench.render_worker import RenderTime, RenderWorker, TimedImage, share_batch_time
from jobs.model_bench.workload import REPRESENTATIVE, Workload, read_works
from tests.backends.provider import asked, model_at, provider, route_to
from tests.benches import DEAD, REFUSED, WORKS, bench_of, participant_of, row_of, shot_of
from tests.jobs.model_bench.test_compare import BASE
from tests.registries import settings_in
from tests.registry.test_promote import degraded_starter
from tests.values import ROUTE, request_with


def lines(folder: Path, *written: str) -> Path:
    file = folder / "prompts.txt"
    file.write_text("\n".join(written))
    return file


def test_a_line_is_a_prompt_or_says_more_in_json(tmp_path: Path) -> None:
    works = read_works(
        lines(
            tmp_path, "# a comment", "", "  a red potion ",
            '{"prompt": "a key", "text": "Key", "size": "96x64", "kind": "poster", '
            '"labels": ["x"]}',
            '{"prompt": "a gem", "size": "64"}',
        )
    )  # fmt: skip
    assert works == (
        WorkItem(prompt="a red potion"),
        WorkItem(
            prompt="a key", text="Key", size=Size(width=96, height=64), kind=Kind.POSTER,
            labels=("x",),
        ),
        WorkItem(prompt="a gem", size=Size(width=64, height=64)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ['{"prompt": ""}', '{"prompt": "a", "colour": 1}', '{"prompt": "a"', '{"prompt": "a", '
     '"size": "big"}', '{"text": "a"}', "x" * 2001],
)  # fmt: skip
def test_a_faulty_line_is_named_with_the_remedy(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidRequest, match=r"prompts\.txt:2: .*write a prompt, or JSON"):
        read_works(lines(tmp_path, "a key", line))


def test_files_without_prompts_or_with_too_many_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no prompt"):
        read_works(lines(tmp_path, "# nothing"))
    many = [json.dumps({"prompt": "a key", "labels": [f"l{n}"]}) for n in range(17)]
    with pytest.raises(InvalidRequest, match="16 different ones at most"):
        read_works(lines(tmp_path, *many))


def test_what_a_model_cannot_do_is_said_with_the_reason_and_not_asked() -> None:
    works = (
        WorkItem(prompt="a red potion"),
        WorkItem(prompt="a steam engine"),
        WorkItem(prompt="a red potion", text="Haste"),
        WorkItem(prompt="a red potion", size=Size(width=96, height=96)),
    )
    workload, starter = Workload(works, samples=3), bundled_models()["starter"]
    refused = workload.refusals(starter)
    assert refused == {
        1: "was never taught steam, engine",
        2: "sets no text",
        3: "paints at 64x64, not at 96x96",
    }
    requests = workload.requests(starter, Settings())
    assert [(request.work, request.request.seed) for request in requests] == [
        (0, 0),
        (0, 1),
        (0, 2),
    ]
    opaque = ECHO.replace(capabilities=("text-to-image",))
    icon = Workload((WorkItem(prompt="a key", kind=Kind.ICON),), samples=1)
    assert "no transparency" in icon.refusals(opaque)[0]


def test_a_picture_is_judged_by_what_can_be_known_of_it() -> None:
    works = (
        WorkItem(prompt="a red potion"),
        WorkItem(prompt="a steam engine"),
        WorkItem(prompt="a", text="b"),
    )
    model = ECHO.replace(capabilities=("text", "transparent"))
    judged = [
        {rule.check for rule in request.rules}
        for request in Workload(works, 1).requests(model, Settings())
    ]
    assert [Measure.AGREEMENT in checks for checks in judged] == [True, False, False]
    assert [Measure.TEXT_ERROR in checks for checks in judged] == [False, False, True]
    assert not any(Measure.DUPLICATE_DISTANCE in checks for checks in judged)
    opaque = ECHO.replace(capabilities=())
    (poster,) = Workload(works[:1], 1).requests(opaque, Settings())
    assert Measure.COVERAGE not in {rule.check for rule in poster.rules}


def test_a_workload_is_what_results_must_share() -> None:
    loads = [Workload(WORKS, 2), Workload(WORKS, 3), Workload(WORKS[:2], 2)]
    relabelled = (WORKS[0].replace(labels=()), *WORKS[1:])
    assert len({workload.digest for workload in [*loads, Workload(relabelled, 2)]}) == 4
    assert Workload(WORKS, 2).digest == loads[0].digest


def test_the_prompts_that_ship_ask_for_icons_heroes_and_texts() -> None:
    works = read_works(REPRESENTATIVE)
    assert {label for work in works for label in work.labels} == {"icon", "hero", "poster"}
    workload = Workload(works, 1)
    assert len(workload.refusals(bundled_models()["starter"])) == 6
    assert workload.refusals(bundled_models()["typography"]) == {}


def test_a_model_named_twice_takes_part_once_and_an_unknown_one_not_at_all() -> None:
    models = everything(Settings())
    named = named_models(["starter", "starter-icons/1", "echo"], models)
    assert [participant.named for participant in named] == ["starter", "echo"]
    with pytest.raises(NoRoute, match="did you mean"):
        named_models(["starter", "startr"], models)
    with pytest.raises(InvalidRequest, match="names no model"):
        named_models([], models)


def test_each_is_compared_with_its_own_alias_or_all_with_one() -> None:
    draft = {f"draft/{n}": ECHO.replace(name="draft", version=str(n)) for n in (1, 2)}
    models = bundled_models() | draft | {"draft@champion": draft["draft/1"]}
    named = named_models(["draft/2", "draft@champion"], models)
    pairs = opponent_models("champion", named, models)
    assert {reference: other.model.reference for reference, other in pairs.items()} == {
        "draft/2": "draft/1", "draft/1": "draft/1",
    }  # fmt: skip
    assert opponent_models("starter", named, models)["draft/2"].named == "starter"
    with pytest.raises(InvalidRequest, match="bears no alias"):
        opponent_models("champion", named_models(["starter"], models), models)
    with pytest.raises(NoRoute):
        opponent_models("draft/9", named, models)


@given(
    st.lists(st.none() | st.floats(0, 1e3), min_size=1, max_size=20),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)
def test_shares_of_a_batch_add_up_to_it(
    seconds: list[float | None], clock: float, processor: float
) -> None:
    times = share_batch_time(RenderTime(seconds=clock, processor_seconds=processor), seconds)
    assert len(times) == len(seconds)
    assert sum(share.seconds for share in times) == pytest.approx(clock)
    assert sum(share.processor_seconds for share in times) == pytest.approx(processor)


def test_who_was_not_timed_has_an_even_share() -> None:
    times = share_batch_time(RenderTime(seconds=8), [1.0, 3.0, None, None])
    assert [share.seconds for share in times] == [1.0, 3.0, 2.0, 2.0]
    assert [share.seconds for share in share_batch_time(RenderTime(seconds=8), [None, None])] == [
        4.0,
        4.0,
    ]


def test_the_row_of_known_pictures() -> None:
    slow = shot_of(seed=1, seconds=3.0, agreement=0.9, legibility=0.5)
    row = row_of(participant_of("draft/1", shot_of(), slow, REFUSED, DEAD, refused={2: "no"}))
    assert (row.images, row.failed, row.accepted, row.not_applicable) == (4, 1, 2, 1)
    assert (row.acceptance, row.agreement, row.legibility) == (0.5, pytest.approx(0.55), 0.5)
    assert (row.median_seconds, row.p95_seconds) == (1.0, pytest.approx(2.8))
    assert (row.images_per_second, row.accepted_per_second) == (1.5, 1.0)
    assert row.usd_per_1000 == pytest.approx(10)
    assert row.usd_per_accepted == pytest.approx(0.02)
    assert row.accepted_per_usd == pytest.approx(50)
    assert row.complaints == {"agreement": 1}
    assert {name: figures.accepted for name, figures in row.labels.items()} == {
        "icon": 2,
        "hero": 0,
    }
    assert row.labels["hero"].usd_per_accepted is None


def test_a_model_that_can_do_nothing_has_no_figures_and_is_no_error() -> None:
    cannot = participant_of("draft/1", shots=(), refused={0: "no", 1: "no", 2: "no"})
    row = row_of(cannot)
    assert (row.images, row.not_applicable) == (0, 3)
    assert row.acceptance is row.median_seconds is row.usd_per_1000 is None
    assert draw_bench(bench_of(cannot)).startswith(b"\x89PNG")


def test_dollars_rank_then_what_is_free_by_its_pace_and_nothing_accepted_is_last() -> None:
    dear = row_of(participant_of("dear/1", shot_of(usd=0.5)))
    cheap = row_of(participant_of("cheap/1", shot_of(usd=0.1, batch_seconds=9)))
    quick = row_of(participant_of("quick/1", shot_of(usd=0, batch_seconds=0.1)))
    slow = row_of(participant_of("slow/1", shot_of(usd=0)))
    bad = row_of(participant_of("bad/1", REFUSED.replace(usd=0)))
    rows = ranked([bad, dear, slow, cheap, quick])
    assert [row.named for row in rows] == ["quick/1", "slow/1", "cheap/1", "dear/1", "bad/1"]


def test_a_label_has_a_rank_of_its_own() -> None:
    icons = row_of(participant_of("icons/1", shot_of(usd=0.01)))
    both = row_of(participant_of("both/1", shot_of(usd=0.02), shot_of(1, usd=0.3)))
    heroes = row_of(participant_of("heroes/1", shot_of(1, usd=0.1)))
    order = {
        label: [row.named for row, _ in ranked_for(label, [both, icons, heroes])]
        for label in ("icon", "hero", "poster")
    }
    assert order == {"icon": ["icons/1", "both/1"], "hero": ["heroes/1", "both/1"], "poster": []}


def test_one_worker_paints_alone_and_in_company_and_says_what_it_took(tmp_path: Path) -> None:
    requests = [request_with(seed=seed) for seed in range(3)]
    renderer = RenderWorker(ROUTE, Settings(home=tmp_path), requests[0])
    renderer.load()
    image = renderer.render_one(requests[0])
    assert read_png(image.png).shape == (64, 64, 4)
    assert image.took.seconds > 0
    assert len(renderer.render_batch(requests)) == 3
    place = renderer.usage()
    assert (place.machine.device, place.gpu_memory_mib) == ("", None)
    assert place.machine.processor


def test_a_hosted_model_is_called_once_for_each_picture(tmp_path: Path) -> None:
    with provider() as hosting:
        route = route_to(model_at(hosting.url))
        renderer = RenderWorker(route, Settings(home=tmp_path), asked())
        renderer.load()
        assert not hosting.calls
        assert not renderer.render_one(asked(seed=1)).error
        assert len(hosting.calls) == 1


def test_an_examiner_says_what_the_rules_say_and_shows_a_small_picture() -> None:
    flat = np.full((700, 350, 4), 200, dtype=np.uint8)
    image = TimedImage(png=png_bytes(flat, text={}), took=RenderTime(seconds=2))
    rules = (
        Rule(check=Measure.CONTRAST, at_least=0.1),
        Rule(check=Measure.AGREEMENT, at_least=0.5),
    )
    request, examiner = request_with().replace(width=350, height=700), CheckWorker()
    examined = examiner.check(image, request, rules, show=True)
    assert (examined.verdict, examined.took) == (Verdict.RETRY, image.took)
    assert Measure.CONTRAST in examined.complaints
    assert examined.agreement is not None
    assert read_png(examined.thumbnail).shape == (THUMBNAIL, THUMBNAIL // 2, 4)
    small = png_bytes(flat[:64, :64], text={})
    assert thumbnail(small) == small
    dead = examiner.check(TimedImage(error="no room"), request, rules, show=True)
    assert (dead.verdict, dead.reasons, dead.thumbnail) == (None, ("no room",), b"")


def test_a_benchmark_is_kept_with_its_files_and_rated_later(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home")
    history = BenchHistory(settings)
    benchmark = bench_of(participant_of("draft/1", shot_of(legibility=0.75), shot_of(seed=1)))
    picture = png_bytes(np.full((8, 8, 4), 90, dtype=np.uint8), text={})
    folder = history.keep(benchmark, {"draft/1": {(0, 0): picture}})
    files = {"bench.json", "report.html", "grid.png", "chart.png"}
    assert files <= {file.name for file in folder.iterdir()}
    assert BenchmarkResult.model_validate_json((folder / "bench.json").read_bytes()) == benchmark
    assert history.rows(benchmark.workload) == list(benchmark.figures)
    assert history.rows("6" * 64) == []

    rated = history.rate("b-1", "draft/1", 0.5)
    assert history.newest(benchmark.workload) == {"draft/1": rated}
    assert rated.human_score == 0.5
    assert "-25 points" in (folder / "report.html").read_text()
    with pytest.raises(InvalidRequest, match="did: draft/1"):
        history.rate("b-1", "draft/2", 0.5)
    with pytest.raises(InvalidRequest, match="no benchmark"):
        history.rate("b-2", "draft/1", 0.5)
    with pytest.raises(InvalidRequest, match="no benchmark"):
        history.rate("' or 1 = 1", "draft/1", 0.5)
    with pytest.raises(InvalidRequest, match="from 0 to 1"):
        history.rate("b-1", "draft/1", 5)

    whole, row = (open_registry(settings).tagged_runs(kind) for kind in ("bench", "benched"))
    (run,), (model,) = whole, row
    assert row[model]["mlflow.parentRunId"] == run
    client = mlflow_client(settings)
    assert {file.path for file in client.list_artifacts(run)} == files
    data = client.get_run(model).data
    assert (data.params["model"], data.params["samples"]) == ("draft/1", "2")
    assert (data.metrics["acceptance"], data.metrics["human_score"]) == (1.0, 0.5)
    assert data.metrics["usd_per_1000"] == pytest.approx(10)


def mlflow_client(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=settings.registry)


def test_a_trend_is_of_one_name_and_tells_time_only_of_one_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = BASE.replace(bench="b-0", median_seconds=2.0, acceptance=0.25)
    elsewhere = BASE.replace(
        bench="b-2", machine=Machine(processor="another", device="cpu", mode="fast")
    )
    rows = [elsewhere, BASE, old, BASE.replace(named="final/1", reference="final/1")]
    pairs = [(row.bench, row.named, before and before.bench) for row, before in shown_rows(rows)]
    assert pairs == [
        ("b-0", "draft/1", None), ("b-1", "draft/1", "b-0"), ("b-1", "final/1", None),
        ("b-2", "draft/1", "b-1"),
    ]  # fmt: skip
    show_history(rows)
    lines = capsys.readouterr().out.splitlines()
    assert ["+25" in line and "-50%" in line for line in lines[1:]] == [False, True, False, False]


def test_a_person_is_told_what_is_worse_and_where_to_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    worse = compare(
        BASE.replace(acceptance=0.1), BASE.replace(named="draft@champion"), BenchTolerance()
    )
    benchmark = bench_of(
        participant_of("draft/1", shot_of(), REFUSED, DEAD), against="champion", axes=worse,
        notes=("a note",),
    )  # fmt: skip
    show_bench(StoredBenchmark(bench=benchmark, report="/r/report.html"))
    output = " ".join(capsys.readouterr().out.split())
    assert "draft/1: acceptance is 0.1, draft@champion has 0.5; required: >= 0.45" in output
    for words in (
        "1 of 3 (1 failed)",
        "draft/1: agreement 1",
        "for icon: draft/1 1 of 1 at $0.01",
        "a note",
        "/r/report.html",
    ):
        assert words in output


@pytest.mark.slow
def test_a_degraded_model_is_a_regression_and_the_command_says_so(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home")
    registry = open_registry(settings)
    registry.register(describe_bundled("starter", "draft"))
    registry.register(describe(degraded_starter(tmp_path / "models"), "draft"))
    catalog = Catalog.open(settings.catalog)
    move(catalog, "draft", "champion", "draft/1", present=None, reason="the test says so")
    catalog.close()
    prompts = lines(tmp_path, "a red potion", "a blue gem", "a steam engine")
    run = [
        sys.executable, "-m", "jobs.commands", "bench", "--prompts", str(prompts), "--samples", "2",
        "--models", "draft/2", "--against", "champion", "--json",
    ]  # fmt: skip
    environment = os.environ | {"ATELIER_HOME": str(settings.home), "ATELIER_USD_PER_HOUR": "3600"}

    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    benchmark = BenchmarkResult.model_validate(document["bench"])
    assert "acceptance" in {axis.asks for axis in benchmark.regressions}
    assert {axis.against for axis in benchmark.axes} == {"draft@champion"}
    good, bad = benchmark.figures
    assert (good.reference, bad.reference) == ("draft/1", "draft/2")
    assert (good.images, good.not_applicable, good.failed) == (4, 1, 0)
    assert good.usd_per_1000 == pytest.approx(1000 / (good.images_per_second or 0), rel=1e-6)
    assert good.memory_mib > 50
    assert good.machine.device == "cpu"
    assert Path(document["report"]).read_text().count("<img") == 8
