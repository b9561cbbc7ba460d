"""The catalog answers people, tools and audits: by name, by index, and only with true rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import Engine

from app.digest import digest
from app.errors import AssetNotFound, CatalogError, DigestMismatch
from app.store.publish import Store, publish_assets, publish_images
from app.types import AssetRecord, Measure, Status
from tests.store.places import Place
from tests.store.values import agreement_spoke, image_of, key_of, record_of, request_for


def put(store: Store, name: str, version: str, **changes: Any) -> AssetRecord:
    """An asset with an image of its own."""
    data = f"{name}@{version}".encode()
    request = request_for(int(digest(data.hex())[:6], 16), **changes.pop("request", {}))
    image = image_of(request.seed, data, request=request, model=changes.pop("model", "starter/1"))
    publish_images(store, [(image, data)], owner="ann")
    record = record_of(image, data, name=name, version=version, **changes)
    return publish_assets(store, [(record, [data])])[0]


def names(records: list[AssetRecord]) -> list[str]:
    return [f"{record.name}@{record.version}" for record in records]


def test_each_audit_question_finds_exactly_its_assets(store: Store) -> None:
    put(store, "plain", "1")
    put(store, "review", "1", status=Status.REVIEW)
    put(store, "model", "1", model="other/1")
    put(store, "team", "1", request={"team": "art"})
    put(store, "prompt", "1", request={"prompt": "a blue sword"})
    put(store, "run", "1", run_id="second")
    put(store, "rule", "1", findings=(agreement_spoke(), agreement_spoke()))
    blue = request_for(0, prompt="a blue sword").prompt_digest
    find = store.catalog.find_assets
    assert names(find(status=Status.REVIEW)) == ["review@1"]
    assert names(find(model="other/1")) == ["model@1"]
    assert names(find(team="art")) == ["team@1"]
    assert names(find(prompt_digest=blue)) == ["prompt@1"]
    assert names(find(run_id="second")) == ["run@1"]
    assert names(find(rule=Measure.AGREEMENT)) == ["rule@1"]
    assert names(find(name_glob="r*")) == ["review@1", "rule@1", "run@1"]
    assert names(find(name_glob="ru?", limit=1)) == ["run@1"]
    assert find(team="art", model="other/1") == []
    assert len(find()) == 7


def test_a_glob_knows_no_other_marks(store: Store) -> None:
    put(store, "abc", "1")
    for glob in ("a_c", "a%c", "a.c", "ab", "?", "", "ABC", "abc?"):
        assert store.catalog.find_assets(name_glob=glob) == []
    for glob in ("*", "a?c", "abc*", "*b*", "abc"):
        assert len(store.catalog.find_assets(name_glob=glob)) == 1


def test_a_set_in_a_glob_is_refused(store: Store) -> None:
    with pytest.raises(CatalogError, match=r"only \* and \?"):
        store.catalog.find_assets(name_glob="[ab]*")


@contextmanager
def recorded_queries() -> Iterator[list[tuple[str, Any]]]:
    queries: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        queries.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "question",
    [
        {"status": Status.REVIEW},
        {"model": "other/1"},
        {"team": "art"},
        {"run_id": "second"},
        {"prompt_digest": "0" * 64},
        {"rule": Measure.AGREEMENT},
        {"name_glob": "red-*"},
    ],
    ids=lambda question: next(iter(question)),
)
def test_an_audit_question_is_answered_from_an_index(
    shared: Store, question: dict[str, Any]
) -> None:
    with recorded_queries() as queries:
        shared.catalog.find_assets(**question)
    assert_searched(shared, queries, "assets")


@pytest.mark.parametrize(
    "question",
    [
        {"prompt_digest": "0" * 64},
        {"seed": 7},
        {"schedule_digest": "0" * 64},
        {"model": "other/1"},
        {"weights_digest": "0" * 64},
    ],
    ids=lambda question: next(iter(question)),
)
def test_a_lineage_question_is_answered_from_an_index(
    shared: Store, question: dict[str, Any]
) -> None:
    with recorded_queries() as queries:
        shared.catalog.find_images(**question)
    assert_searched(shared, queries, "images")


def assert_searched(store: Store, queries: list[tuple[str, Any]], table: str) -> None:
    statement, parameters = next(q for q in queries if f"FROM {table}" in q[0])
    with store.catalog.reading() as connection:
        explain = EXPLAIN[connection.dialect.name]
        steps = explain(connection, statement, parameters)
    assert any("ix_" in step or "autoindex" in step or "pkey" in step for step in steps)
    assert not any("SCAN" in step or "Seq Scan" in step for step in steps)


def explain_sqlite(connection: Connection, statement: str, parameters: Any) -> list[str]:
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return [row.detail for row in plan]


def explain_postgresql(connection: Connection, statement: str, parameters: Any) -> list[str]:
    # An empty table is never worth an index: the question is whether one could be used.
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return [str(row[0]) for row in plan]


EXPLAIN = {"sqlite": explain_sqlite, "postgresql": explain_postgresql}


def test_the_newest_usable_version_answers_for_a_name(store: Store) -> None:
    put(store, "red-potion", "a1")
    newest = put(store, "red-potion", "a2", status=Status.REVIEW)
    publish_assets(store, [(record_of(None, None, version="a3", status=Status.REJECTED), [])])
    assert store.catalog.asset("red-potion") == newest
    assert names(store.catalog.versions("red-potion")) == [
        "red-potion@a3",
        "red-potion@a2",
        "red-potion@a1",
    ]


def test_without_a_usable_version_the_newest_of_the_others_answers(store: Store) -> None:
    for version in ("a1", "a2"):
        record = record_of(None, None, version=version, status=Status.REJECTED)
        publish_assets(store, [(record, [])])
    assert store.catalog.asset("red-potion").version == "a2"


def test_a_version_may_be_shortened_while_it_is_clear(store: Store) -> None:
    for version in ("abc1", "abd1", "abd"):
        put(store, "red-potion", version)
    assert store.catalog.asset("red-potion", "abc").version == "abc1"
    assert store.catalog.asset("red-potion", "abd").version == "abd"
    with pytest.raises(CatalogError, match=r"abc1, abd, abd1"):
        store.catalog.asset("red-potion", "ab")
    with pytest.raises(AssetNotFound, match=r"'zz'.*abc1, abd, abd1"):
        store.catalog.asset("red-potion", "zz")


def test_an_unknown_name_is_answered_with_the_nearest(store: Store) -> None:
    put(store, "red-potion", "1")
    put(store, "blue-sword", "1")
    for ask in (store.catalog.asset, store.catalog.versions):
        with pytest.raises(AssetNotFound, match=r"'red-potoin'.*did you mean red-potion\?"):
            ask("red-potoin")
    with pytest.raises(AssetNotFound, match="did you mean blue-sword"):
        store.catalog.asset("blu-sword", "1")


def test_seeds_schedules_and_weights_are_found_again_after_a_restart(place: Place) -> None:
    store = place.open()
    images = [image_of(seed, b"%d" % seed) for seed in range(3)]
    images.append(image_of(3, b"3", model="other/1", request=request_for(2)))
    publish_images(store, [(image, b"%d" % i) for i, image in enumerate(images)], owner="ann")
    catalog = place.open().catalog
    provenance = images[2].provenance
    assert provenance.noise_schedule is not None
    schedule = provenance.noise_schedule.sigmas_digest
    assert len(catalog.find_images(schedule_digest=schedule)) == 4
    assert catalog.find_images(weights_digest=provenance.weights_digest, seed=2) == [images[2]]
    assert catalog.find_images(model="other/1") == [images[3]]
    assert len(catalog.find_images(negative_prompt="blurry", processor="a processor")) == 4
    assert len(catalog.find_images(limit=2)) == 2
    assert catalog.find_images(seed=99) == []


def test_more_keys_than_one_query_holds_are_answered(store: Store) -> None:
    image = image_of(1200, b"an icon")
    publish_images(store, [(image, b"an icon")], owner="ann")
    assert store.catalog.images(key_of(seed) for seed in range(1201)) == {image.key: image}


@pytest.mark.parametrize("table", ["images", "assets"])
def test_an_altered_row_is_never_served(store: Store, table: str) -> None:
    put(store, "red-potion", "1")
    with store.catalog.writing() as connection:
        # One digit of the size that was recorded, or of the kind of file.
        connection.execute(text(f"UPDATE {table} SET value = replace(value, '64', '65')"))
    with pytest.raises(DigestMismatch, match="altered"):
        store.catalog.asset("red-potion")


@pytest.mark.parametrize("change", ["DELETE FROM provenance", "UPDATE provenance SET seed = 1"])
def test_provenance_can_only_be_added(store: Store, change: str) -> None:
    put(store, "red-potion", "1")
    with (
        pytest.raises(CatalogError, match="append-only"),
        store.catalog.writing() as connection,
    ):
        connection.execute(text(change))


def test_an_exception_inside_a_transaction_leaves_nothing(store: Store) -> None:
    def die_in_the_middle() -> None:
        with store.catalog.writing() as connection:
            connection.execute(text("INSERT INTO swept (digest, swept_at) VALUES ('d', 0)"))
            raise KeyError

    with pytest.raises(KeyError):
        die_in_the_middle()
    with store.catalog.reading() as connection:
        assert connection.execute(text("SELECT * FROM swept")).all() == []


def test_a_run_has_a_beginning_and_an_end(store: Store) -> None:
    catalog = store.catalog
    begun = catalog.begin_run("first", plan="icons", plan_digest=digest("plan"))
    assert (begun.ended_at, begun.summary) == (None, None)
    catalog.begin_run("second", plan="icons", plan_digest=digest("plan"))
    ended = catalog.end_run("first", {"asked": 48, "seconds": 1.5, "pages": ["icons-0"]})
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at == begun.started_at
    assert ended.summary == {"asked": 48, "seconds": 1.5, "pages": ["icons-0"]}
    assert catalog.run("first") == ended
    assert [run.run_id for run in catalog.runs()] == ["second", "first"]
    assert [run.run_id for run in catalog.runs(limit=1)] == ["second"]


def test_a_run_is_begun_once_and_ended_only_when_begun(store: Store) -> None:
    store.catalog.begin_run("first", plan="icons", plan_digest=digest("plan"))
    with pytest.raises(CatalogError, match="'first' exists already"):
        store.catalog.begin_run("first", plan="icons", plan_digest=digest("plan"))
    with pytest.raises(CatalogError, match="no run 'second'"):
        store.catalog.end_run("second", {})
