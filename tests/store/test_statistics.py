"""The books: the same sums as the costs', to the last attempt, by a fixed number of queries."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, update

from app.store import tables
from app.store.ledger import Account
from app.store.publish import Store, begin_run, claim, publish_assets, publish_images, release
from app.store.statistics import Statistics, StatisticsReader
from app.types import CostGroup, Status
from tests.store.values import agreement_spoke, image_of, key_of, record_of

ART = Account(who="ann", plan="icons", team="art", model="starter/1", asset="red-potion")
LONG_AGO = "2000-01-01T00:00:00.000Z"


def made(store: Store, seed: int, *, owner: str = "run", attempt: int = 1) -> None:
    """One image, claimed and published."""
    claim(store, [key_of(seed)], owner=owner, seconds=60, accounts={key_of(seed): ART})
    published(store, seed, owner=owner, attempt=attempt)


def published(store: Store, seed: int, *, owner: str, attempt: int) -> None:
    data = b"image %d" % seed
    image = image_of(seed, data).replace(cost_usd=0.1)
    image = image.replace(provenance=image.provenance.replace(attempt=attempt))
    publish_images(store, [(image, data)], owner=owner)


def failed(store: Store, seed: int, *, owner: str = "run") -> None:
    claim(store, [key_of(seed)], owner=owner, seconds=60, accounts={key_of(seed): ART})
    release(store, [key_of(seed)], owner=owner)


def decided(store: Store, version: str, status: Status, *, run_id: str = "run") -> None:
    """One asset, with a picture of its own unless it failed."""
    findings = () if status is Status.ACCEPTED else (agreement_spoke(),)
    data = f"picture {version}".encode()
    image = None if status is Status.FAILED else image_of(1000 + int(version), data)
    if image:
        publish_images(store, [(image, data)], owner=run_id)
    file = b"file" if image else None
    record = record_of(
        image, file, version=version, status=status, run_id=run_id, findings=findings
    )
    publish_assets(store, [(record, [file] if file else [])])


def settle(store: Store) -> None:
    """Let time pass: what stands is old."""
    for table in (tables.ledger, tables.assets):
        store.catalog.write(
            lambda connection, table=table: connection.execute(
                update(table).values(created_at=LONG_AGO)
            ),
            names=(),
        )


def endings(statistics: Statistics) -> Counter[str]:
    counts: Counter[str] = Counter()
    for attempt in statistics.tried:
        counts[attempt.ending] += attempt.attempts
    return counts


def outcomes(statistics: Statistics) -> dict[str, int]:
    return {decision.status: decision.assets for decision in statistics.decided}


def agrees(store: Store, statistics: Statistics) -> None:
    """Model by model what `atelier costs` says."""
    for cost in store.catalog.costs(CostGroup.MODEL).groups:
        mine = [attempt for attempt in statistics.tried if attempt.model == cost.name]
        by = {attempt.ending: attempt.attempts for attempt in mine}
        assert sum(attempt.nano_usd for attempt in mine) == cost.nano_usd
        assert round(sum(attempt.seconds for attempt in mine), 6) == cost.seconds
        assert sum(by.values()) == cost.attempts
        assert by.get("made", 0) + by.get("second", 0) == cost.made
        assert (by.get("failed", 0), by.get("lost", 0)) == (cost.failed, cost.lost)


@contextmanager
def selects() -> Iterator[list[str]]:
    """What is asked of any database meanwhile."""
    statements: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        if "SELECT" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_the_books_are_the_costs_whether_rows_are_new_or_settled(store: Store) -> None:
    keeper = StatisticsReader(store.catalog)
    agrees(store, keeper.read())
    for seed in range(4):
        made(store, seed)
        agrees(store, keeper.read())
        if seed % 2:
            settle(store)
            failed(store, seed + 100)
            agrees(store, keeper.read())
    assert endings(keeper.read()) == {"made": 4, "failed": 2}
    agrees(store, StatisticsReader(store.catalog).read())


def test_an_attempt_that_was_called_lost_too_early_is_counted_as_what_it_came_to(
    store: Store,
) -> None:
    keeper = StatisticsReader(store.catalog)
    claim(store, [key_of(1)], owner="slow", seconds=0, accounts={key_of(1): ART})
    claim(store, [key_of(1)], owner="run", seconds=60, accounts={key_of(1): ART})
    settle(store)
    assert endings(keeper.read()) == {"lost": 1}
    published(store, 1, owner="slow", attempt=1)
    assert endings(keeper.read()) == {"made": 1, "lost": 1}
    agrees(store, keeper.read())


def test_assets_count_as_they_stand_and_rules_by_how_often_they_spoke(store: Store) -> None:
    keeper = StatisticsReader(store.catalog)
    decided(store, "1", Status.ACCEPTED)
    decided(store, "2", Status.FAILED)
    decided(store, "3", Status.REJECTED)
    assert outcomes(keeper.read()) == {"accepted": 1, "failed": 1, "rejected": 1}
    settle(store)
    assert outcomes(keeper.read()) == {"accepted": 1, "failed": 1, "rejected": 1}
    decided(store, "2", Status.REJECTED)  # made again in the place of the one that failed
    statistics = keeper.read()
    assert outcomes(statistics) == {"accepted": 1, "rejected": 2}
    (spoke,) = statistics.spoke
    assert (spoke.model, spoke.measure, spoke.times) == ("starter/1", "agreement", 2)


def test_by_run_only_open_runs_and_later_ones_are_told(store: Store) -> None:
    begin_run(store, "past", plan="icons", document={})
    made(store, 1, owner="past")
    decided(store, "1", Status.ACCEPTED, run_id="past")
    store.catalog.end_run("past", {})
    begin_run(store, "now", plan="icons", document={})
    made(store, 2, owner="now")
    settle(store)
    keeper = StatisticsReader(store.catalog, by_run=True)
    statistics = keeper.read()
    assert [run.run_id for run in statistics.runs] == ["now"]
    assert ({attempt.run_id for attempt in statistics.tried}, statistics.decided) == ({"now"}, ())
    begin_run(store, "later", plan="icons", document={})
    made(store, 3, owner="later")
    decided(store, "2", Status.REVIEW, run_id="later")
    claim(store, [key_of(4)], owner="later", seconds=60, accounts={key_of(4): ART})
    statistics = keeper.read()
    assert {attempt.run_id for attempt in statistics.tried} == {"now", "later"}
    assert [(decision.run_id, decision.status) for decision in statistics.decided] == [
        ("later", "review")
    ]
    assert [(active.run_id, active.attempts) for active in statistics.under_way] == [("later", 1)]


def test_a_look_asks_as_many_questions_of_a_large_catalog_as_of_a_small_one(store: Store) -> None:
    keeper = StatisticsReader(store.catalog, by_run=True)
    begin_run(store, "run", plan="icons", document={})
    made(store, 1)
    settle(store)
    keeper.read()
    with selects() as few:
        keeper.read()
    for seed in range(2, 12):
        begin_run(store, f"run-{seed}", plan="icons", document={})
        made(store, seed, owner=f"run-{seed}")
        decided(store, str(seed), Status.ACCEPTED, run_id=f"run-{seed}")
    with selects() as many:
        keeper.read()
    assert len(many) == len(few) <= 15


def test_how_a_model_does_lately_is_told_from_the_oldest_to_the_newest(store: Store) -> None:
    made(store, 1)
    failed(store, 2)
    decided(store, "1", Status.ACCEPTED)
    decided(store, "2", Status.FAILED)
    decided(store, "3", Status.REVIEW)
    lately = {
        outcomes.model: outcomes for outcomes in StatisticsReader(store.catalog).read().lately
    }
    assert lately["starter/1"].failures == (False, True, False, False)
    assert lately["starter/1"].seconds == (0.25, 0.25, 0.25)
    assert lately["starter/1"].acceptances == (True, False)
