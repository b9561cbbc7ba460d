"""The benchmark of refining: what it counts, and that both ways begin with the same pictures."""

from pathlib import Path

import pytest

from app.models.bundled import FOLDERS, read_version
from app.refine.attempts import Refiner
from app.refine.statistics import RefineStatistics
from app.types import Refine, Status
from app.types.candidate import DecidedAsset, Decision
from jobs.bench.refine.bench import (
    BY_SEED,
    LEARNED,
    RefineFigures,
    RefineRow,
    saving,
)
from jobs.bench.refine.render import show_refine_figures
from jobs.bench.refine.workload import POOR_SETTINGS, PoorSettings, assets
from jobs.bench.routing.simulator import RunSimulator, direct_plan
from tests.values import spec_with

STARTER = read_version(FOLDERS["starter"])


def decided(status: Status, attempts: int) -> DecidedAsset:
    decision = Decision(status=status, winner=None, report=None, reasons=())
    return DecidedAsset(index=0, key="k", spec=spec_with(), decision=decision, attempts=attempts)


def row(way: str, accepted: int, attempts: int) -> RefineRow:
    return RefineRow(
        world=str(POOR_SETTINGS[0]), way=way, asked=10, accepted=accepted, attempts=attempts,
        cpu_seconds=1.5, changes={"steps": (4, 3)},
    )  # fmt: skip


def test_saved_are_attempts_for_each_accepted_asset() -> None:
    good, bad = decided(Status.ACCEPTED, 2), decided(Status.REJECTED, 6)
    assert saving([(good, good), (bad, good)]) == pytest.approx(1 - 2 / 8)
    assert saving([(good, good), (good, bad)]) == pytest.approx(1 - 8 / 2)
    assert saving([(bad, good)]) is None


def test_the_figures_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    rows = row(BY_SEED, 8, 30), row(LEARNED, 10, 20)
    figures = RefineFigures(
        processor="test", learned_from=77, rows=rows, saved=0.466, saved_within=(0.3, 0.6)
    )
    assert figures.row(LEARNED, str(POOR_SETTINGS[0])).attempts_per_accepted == 2
    assert rows[0].to_people == pytest.approx(0.2)
    show_refine_figures(figures)
    output = " ".join(capsys.readouterr().out.split())
    assert "47% fewer attempts" in output
    assert "(95 %: 30% to 60%)" in output
    assert row(BY_SEED, 0, 60).attempts_per_accepted is None


@pytest.mark.slow
def test_both_ways_begin_alike_and_a_reason_takes_fewer_attempts(tmp_path: Path) -> None:
    models = {"starter": STARTER}
    player = RunSimulator(models, tmp_path)
    world = PoorSettings(model="starter", steps=2, guidance=3)
    games = {}
    for refine in Refine:
        specs = assets(world, refine, models, seed=5, colours=1)[:8]
        games[refine] = player.run(
            [(spec,) for spec in specs],
            lambda variants, _: direct_plan(variants[0], STARTER),
            refiner=Refiner(RefineStatistics(), models) if refine is Refine.REASON else None,
        )
    by_seed, reason = games[Refine.SEED], games[Refine.REASON]
    first = [
        {asset.spec.name for asset in played.decided if asset.attempts == 1}
        for played in (by_seed, reason)
    ]
    assert first[0] == first[1]
    assert reason.accepted >= by_seed.accepted
    assert reason.images.total() < by_seed.images.total()
    for asset in reason.decided:
        assert len(asset.retries) == asset.attempts - 1
    assert all(asset.retries == () for asset in by_seed.decided)
    assert {record.retries for record in reason.records} == {
        asset.retries for asset in reason.decided
    }
