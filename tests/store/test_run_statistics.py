"""What runs took, when their assets stood, and why some were refused; on either database."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from app.errors import CatalogError
from app.monitor.report import report
from app.store import tables
from app.store.publish import Store, begin_run
from app.types import Status
from tests.store.test_statistics import decided, failed, made

BEGAN = datetime(2026, 11, 20, 23, 0)


def written(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def at(store: Store, table: str, moment: datetime, **which: str) -> None:
    """What a row says of its time."""
    column_table = tables.metadata.tables[table]
    names = {"runs": "started_at"}
    change = update(column_table).values({names.get(table, "created_at"): written(moment)})
    for name, value in which.items():
        change = change.where(column_table.c[name] == value)
    store.catalog.write(lambda connection: connection.execute(change), names=())


@pytest.fixture
def two_runs(store: Store) -> Store:
    """A run of an hour: three images at ten cents and one failure, and four decided assets, of
    which the last stood after 50 minutes."""
    begin_run(store, "run", plan="icons", document={})
    at(store, "runs", BEGAN)
    for seed in range(3):
        made(store, seed)
    failed(store, 9)
    counts = (Status.ACCEPTED, Status.REVIEW, Status.REJECTED, Status.REJECTED)
    for number, fate in enumerate(counts):
        decided(store, str(number), fate)
        moment = BEGAN + timedelta(minutes=20 + 10 * number)
        at(store, "assets", moment, version=str(number))
    change = update(tables.runs).values(ended_at=written(BEGAN + timedelta(hours=1)), summary="{}")
    store.catalog.write(lambda connection: connection.execute(change), names=())
    return store


def test_the_four_figures_of_a_run(two_runs: Store) -> None:
    figures = report(two_runs.catalog, "run")
    (run,) = figures.runs
    # Each decided asset has an image of its own, which cost nothing.
    assert (run.images, run.assets, run.seconds) == (7, 4, 3600)
    assert run.images_per_hour == 7
    assert run.error_percent == pytest.approx(100 / 8)
    assert run.usd_per_image == pytest.approx(0.3 / 7)
    assert run.delivery.half == 30 * 60
    assert run.delivery.most == run.delivery.last == 50 * 60
    assert figures.together.images_per_hour == 7
    assert figures.together.delivery_seconds == 30 * 60


def test_what_was_refused_by_day_model_and_rule(two_runs: Store) -> None:
    at(two_runs, "assets", BEGAN + timedelta(hours=2), version="3")
    refusals = report(two_runs.catalog).refused
    assert [
        (refusal.day, refusal.measure, refusal.times, refusal.assets) for refusal in refusals
    ] == [
        ("2026-11-21", "agreement", 1, 1),
        ("2026-11-20", "agreement", 2, 3),
    ]


def test_a_run_that_did_nothing_yet_has_no_figures_and_two_are_taken_together(
    two_runs: Store,
) -> None:
    begin_run(two_runs, "idle", plan="icons", document={})
    idle, run = report(two_runs.catalog).runs
    assert (idle.run_id, idle.images, idle.error_percent) == ("idle", 0, None)
    assert (idle.usd_per_image, idle.delivery.half) == (None, None)
    assert report(two_runs.catalog).together.images == run.images
    assert [run.run_id for run in report(two_runs.catalog, since="2026-11-21").runs] == ["idle"]


def test_a_run_that_is_not_there_is_said_so(store: Store) -> None:
    with pytest.raises(CatalogError, match="there is no run 'nobody'"):
        report(store.catalog, "nobody")
