"""A person's word decides an asset; what the checks said alone stays known."""

from pathlib import Path

import pytest

from app.backends.echo import EchoBackend
from app.check.duplicates import Neighbours
from app.errors import CatalogError, InvalidRequest
from app.flow.make import make
from app.flow.override import override
from app.generate.generate import Generator
from app.settings import Settings
from app.store.publish import Store, open_store, override_asset, publish_assets
from app.store.statistics import StatisticsReader
from app.store.sweep import sweep
from app.types import AssetRecord, Measure, Rule, Status, Verdict
from tests.cli.test_main import home, run, run_json
from tests.store.values import record_of
from tests.values import ROUTE, spec_with

__all__ = ["home"]


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(Settings().blobs, Settings().catalog)


def judged(store: Store, verdict: Verdict, name: str) -> AssetRecord:
    """An asset of a real picture that the rules leave to this verdict."""
    rule = Rule(check=Measure.COVERAGE, at_most=0.01, otherwise=verdict)
    rules = () if verdict is Verdict.ACCEPT else (rule,)
    generator = Generator(route=ROUTE, backend=EchoBackend(), store=store, owner="run")
    return make(spec_with(*rules, name=name, candidates=1, attempts=1), generator, None,
                Neighbours())  # fmt: skip


def overridden(store: Store, record: AssetRecord, word: str) -> AssetRecord:
    assert word in ("good", "bad")
    says = "good" if word == "good" else "bad"
    _, decided = override(store, record, says, reviewer="ann", reason="the rim")  # type: ignore[arg-type]
    assert store.catalog.asset_records([record.key])[record.key] == decided
    return decided


def test_a_good_word_accepts_what_was_left_for_people(store: Store) -> None:
    record = judged(store, Verdict.REVIEW, "gem")
    decided = overridden(store, record, "good")
    assert (record.status, decided.status) == (Status.REVIEW, Status.ACCEPTED)
    assert decided.reasons == ("ann said good: the rim",)
    assert (decided.asset, decided.report) == (record.asset, record.report)
    assert store.catalog.find_assets(status=Status.ACCEPTED) == [decided]
    assert overridden(store, decided, "good") == decided


def test_a_bad_word_rejects_and_can_be_taken_back_to_the_same_files(store: Store) -> None:
    record = judged(store, Verdict.ACCEPT, "gem")
    rejected = overridden(store, record, "bad")
    assert (rejected.status, rejected.asset) == (Status.REJECTED, None)
    assert store.catalog.find_assets(status=Status.ACCEPTED) == []
    sweep(store, grace_seconds=0)
    again = overridden(store, rejected, "good")
    assert (again.status, again.asset) == (Status.ACCEPTED, record.asset)
    assert again.asset is not None
    assert all(store.blobs.has(file.digest) for file in again.asset.files)


def test_a_good_word_on_a_rejected_picture_finishes_it(store: Store) -> None:
    record = judged(store, Verdict.REJECT, "gem")
    assert record.asset is None
    decided = overridden(store, record, "good")
    assert decided.asset is not None
    assert [str(file.size) for file in decided.asset.files] == ["64x64"]
    assert decided.provenance is not None


def test_an_asset_without_a_picture_is_no_ones_to_judge(store: Store) -> None:
    failed = record_of(None, None, status=Status.FAILED)
    publish_assets(store, [(failed, [])])
    with pytest.raises(InvalidRequest, match="no picture"):
        override(store, failed, "good", reviewer="ann")


def test_a_word_on_another_picture_than_the_one_that_stands_is_refused(store: Store) -> None:
    mine, other = (judged(store, Verdict.REVIEW, name) for name in ("gem", "coin"))
    swapped = mine.replace(image=other.image, provenance=other.provenance)
    with pytest.raises(CatalogError, match="changed"):
        override_asset(store, swapped, (), good=True)


def test_peoples_words_leave_what_the_checks_accept_alone_as_it_was(store: Store) -> None:
    """Else the newest, which nobody looked at yet, would seem a fall of the model's quality."""
    verdicts = [Verdict.REVIEW, Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT]
    records = [judged(store, verdict, f"gem-{at}") for at, verdict in enumerate(verdicts)]

    def alone() -> list[tuple[bool, ...]]:
        return [outcomes.acceptances for outcomes in StatisticsReader(store.catalog).read().lately]

    before = alone()
    assert before == [(False, True, False, False)]
    shares = run_json("checks", "report")["runs"]
    for record, word in zip(records, ["good", "bad", "bad", "good"], strict=True):
        overridden(store, record, word)
    assert alone() == before
    assert run_json("checks", "report")["runs"] == shares


def test_the_door_says_what_the_asset_is_now(store: Store) -> None:
    judged(store, Verdict.REVIEW, "gem")
    assert "accepted" in run("checks", "label", "gem", "good")
    assert run_json("checks", "label", "gem", "bad")["status"] == "rejected"
