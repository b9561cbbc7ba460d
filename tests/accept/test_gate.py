"""Labels, calibrations and the run's second word, as they stand in a catalog and at the door."""

import json
from pathlib import Path

import pytest

from app.accept.calibration import calibrate
from app.accept.gate import open_gate
from app.accept.promoted_calibration import (
    history,
    keep_calibration,
    live_digest,
    promote,
    read_calibration,
    roll_back,
)
from app.check.duplicates import Neighbours
from app.errors import AssetNotFound, InvalidRequest, PromotionRefused
from app.flow.decide import decide
from app.models.bundled import ECHO
from app.plan.expand import expand
from app.plan.schema import AcceptPlan, Plan
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.publish import Store, open_store, publish_assets, publish_images
from app.types import AssetRecord, Measure, QualityReport, Status, Verdict
from app.types.candidate import Candidate, Outcome
from tests.accept.simulated_world import MODEL, SimulatedPicture, SimulatedWorld, labelled
from tests.cli.test_main import home, run, run_json
from tests.store.values import image_of, record_of
from tests.values import spec_with

__all__ = ["home"]
TERMS = AcceptPlan(false_accepts=0.05)
GEM = {"name": "gem", "kind": "icon", "prompt": "a gem", "sizes": [{"width": 64, "height": 64}]}
PLAIN = {"atelier": 1, "name": "plain", "model": "echo", "assets": [GEM]}


@pytest.fixture
def catalog(home: Path) -> Catalog:
    return Catalog.open(Settings().catalog)


def calibration(catalog: Catalog, seed: int = 1, *, style: str = "") -> str:
    known = [label.replace(style=style) for label in labelled(SimulatedWorld(seed).pictures(1000))]
    return keep_calibration(catalog, calibrate(known, at=str(seed)))


def candidate(picture: SimulatedPicture) -> Candidate:
    image = image_of(1, picture.key.encode(), model=MODEL)
    report = QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT)
    return Candidate(outcome=Outcome(request=image.provenance.request, image=image), report=report)


def sure_and_unsure(catalog: Catalog, digest: str) -> tuple[SimulatedPicture, SimulatedPicture]:
    """The surest of many pictures, and the surest of those beyond the limit."""
    calibration = read_calibration(catalog, digest)
    limit = calibration.limits(TERMS.false_accepts, TERMS.confidence, TERMS.false_rejects).accept
    assert limit is not None
    pictures = SimulatedWorld(1).pictures(200, part="others")
    risks = [(calibration.ordering.risk(picture.scores) or 0.0, picture) for picture in pictures]
    ordered = sorted(risks, key=lambda pair: pair[0])
    return ordered[0][1], next(picture for risk, picture in ordered if risk > limit)


def test_a_calibration_is_promoted_and_taken_back(catalog: Catalog) -> None:
    first, second = calibration(catalog, 1), calibration(catalog, 2)
    assert live_digest(catalog) is None
    assert promote(catalog, first[:12]) == live_digest(catalog) == first
    with pytest.raises(InvalidRequest, match="already in use"):
        promote(catalog, first)
    assert promote(catalog, second) == second
    assert roll_back(catalog) == first
    assert roll_back(catalog) is None
    with pytest.raises(PromotionRefused, match="nothing to undo"):
        roll_back(catalog)
    with pytest.raises(AssetNotFound, match="no calibration 'nothing'"):
        promote(catalog, "nothing")
    assert len(history(catalog)) == 4


def test_without_a_calibration_everything_goes_to_people(catalog: Catalog) -> None:
    gate = open_gate(catalog, TERMS)
    decision = decide(
        spec_with(), [candidate(SimulatedWorld(1).pictures(1)[0])], Neighbours(), gate=gate
    )
    assert decision.status is Status.REVIEW
    assert "a calibration is promoted" in decision.reasons[0]


def test_what_is_sure_is_accepted_and_what_is_not_goes_to_people_with_the_reason(
    catalog: Catalog,
) -> None:
    digest = promote(catalog, calibration(catalog))
    gate = open_gate(catalog, TERMS)
    sure, doubtful = sure_and_unsure(catalog, digest)
    accepted = decide(spec_with(), [candidate(sure)], Neighbours(), gate=gate)
    assert accepted.status is Status.ACCEPTED
    assert accepted.report is not None
    (finding,) = accepted.report.findings
    assert (finding.check, finding.verdict) == (Measure.RISK, Verdict.ACCEPT)
    assert finding.rule.endswith(digest[:12])
    neighbours = Neighbours()
    review = decide(spec_with(), [candidate(doubtful)], neighbours, gate=gate)
    assert review.status is Status.REVIEW
    assert review.winner is not None
    assert review.reasons[0].startswith("too uncertain to accept without a person: ")
    assert digest[:12] in review.reasons[0]
    assert neighbours.nearest(0) is None


def test_a_clear_failure_asks_for_another_attempt_and_is_rejected_when_none_is_left(
    catalog: Catalog,
) -> None:
    promote(catalog, calibration(catalog))
    gate = open_gate(catalog, TERMS.replace(false_rejects=0.2))
    worst = SimulatedPicture(
        "f" * 64, dict.fromkeys(SimulatedWorld(1).pictures(1)[0].scores, -0.5), bad=True
    )
    again = decide(spec_with(attempts=3), [candidate(worst)], Neighbours(), gate=gate)
    assert again.status is None
    ended = decide(spec_with(attempts=1), [candidate(worst)], Neighbours(), gate=gate)
    assert ended.status is Status.REJECTED
    assert "risk <" in ended.reasons[0]


def test_a_missing_score_is_not_accepted(catalog: Catalog) -> None:
    promote(catalog, calibration(catalog))
    unknown = SimulatedPicture("e" * 64, {}, bad=False)
    decision = decide(
        spec_with(), [candidate(unknown)], Neighbours(), gate=open_gate(catalog, TERMS)
    )
    assert decision.status is Status.REVIEW
    assert decision.reasons[0].startswith("risk could not be measured")


def test_a_shift_in_an_earlier_run_narrows_the_next(catalog: Catalog) -> None:
    promote(catalog, calibration(catalog))
    first = open_gate(catalog, TERMS)
    shifted = SimulatedWorld(1, moved=0.12).pictures(80, part="shifted")
    store = open_store(Settings().blobs, Settings().catalog)
    for at, picture in enumerate(shifted):
        decision = decide(spec_with(), [candidate(picture)], Neighbours(), gate=first)
        assert decision.report is not None
        publish(store, at, decision.report)
    assert all(watch.alarmed for watch in first.detectors.values())
    again = open_gate(catalog, TERMS)
    assert [watch.alarmed for watch in again.detectors.values()] == [True]


def publish(store: Store, at: int, report: QualityReport) -> AssetRecord:
    image = image_of(at, b"%d" % at, model=MODEL)
    publish_images(store, [(image, b"%d" % at)], owner="run")
    record = record_of(image, b"file %d" % at, name=f"gem-{at}").replace(report=report)
    publish_assets(store, [(record, [b"file %d" % at])])
    return record


def test_labels_become_a_calibration_at_the_door(catalog: Catalog) -> None:
    store = open_store(Settings().blobs, Settings().catalog)
    for at in range(4):
        publish(store, at, QualityReport(scores={Measure.HALO: at / 4}, verdict=Verdict.ACCEPT))
    assert "the catalog has no labelled image" in run_json("checks", "calibrate", code=2)["message"]
    waiting = run_json("checks", "due", "--share", "1")
    assert {asset["name"] for asset in waiting} == {f"gem-{at}" for at in range(4)}
    for asset in waiting[:3]:
        run("checks", "label", asset["name"], "good")
    labelled = run_json("checks", "label", waiting[0]["name"], "bad", "--reason", "a seam")
    assert (labelled["says"], labelled["reason"], labelled["reviewer"]) == (
        "bad",
        "a seam",
        Settings().user,
    )
    assert len(run_json("checks", "due", "--share", "1")) == 1
    calibrated = run_json("checks", "calibrate")
    assert calibrated["labels"] == 3
    assert calibrated["limits"]["accept"] is None
    assert calibrated["limits"]["missing"] == 230 - calibrated["counted"]
    assert "write good or bad" in run_json("checks", "label", "gem-0", "fine", code=2)["message"]
    assert (
        run_json("checks", "promote", calibrated["digest"][:12])["digest"] == calibrated["digest"]
    )
    listed = run_json("checks", "list")
    assert (listed["live"], list(listed["kept"])) == (calibrated["digest"], [calibrated["digest"]])
    report = run_json("checks", "report")
    assert report["runs"] == [{"run_id": "run", "accepted": 4, "review": 0, "rejected": 0}]
    assert (report["escapes"]["checked"], report["escapes"]["bad"]) == (3, 1)
    assert run_json("checks", "back")["digest"] is None
    for words in (["list"], ["report"], ["due"], ["calibrate"]):
        assert run("checks", *words)


def test_two_reviewers_tell_how_often_they_err(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(Settings().blobs, Settings().catalog)
    for at in range(5):
        publish(store, at, QualityReport(scores={}, verdict=Verdict.ACCEPT))
        run("checks", "label", f"gem-{at}", "good")
    monkeypatch.setenv("ATELIER_USER", "somebody-else")
    for at in range(5):
        run("checks", "label", f"gem-{at}", "bad" if at == 0 else "good")
    agreement = run_json("checks", "report")["agreement"]
    assert (agreement["pairs"], agreement["agreed"]) == (5, 4)
    assert 2 * agreement["errors"] * (1 - agreement["errors"]) == pytest.approx(0.2)


def test_a_file_of_labels_calibrates_and_a_wrong_line_is_named(
    catalog: Catalog, tmp_path: Path
) -> None:
    lines = [
        {
            "key": picture.key,
            "scores": picture.scores,
            "label": "bad" if picture.bad else "good",
            "model": MODEL,
        }
        for picture in SimulatedWorld(3).pictures(600)
    ]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    calibrated = run_json("checks", "calibrate", "--from", str(file), "--false-accepts", "0.1")
    assert calibrated["labels"] == 600
    assert calibrated["limits"]["accepted"] > 0.5
    assert calibrated["sorts"] == {MODEL: calibrated["counted"]}
    file.write_text(json.dumps(lines[0] | {"label": "fine"}))
    refused = run_json("checks", "calibrate", "--from", str(file), code=2)
    assert "line 1: label" in refused["message"]
    file.write_text("\n".join(map(json.dumps, lines[:1] * 2)))
    refused = run_json("checks", "calibrate", "--from", str(file), code=2)
    assert "twice" in refused["message"]


def test_a_plan_without_acceptance_keeps_its_document_and_one_with_it_its_specs() -> None:
    plain = Plan.model_validate(PLAIN)
    asking = plain.replace(accept=AcceptPlan(false_accepts=0.01))
    assert "accept" not in plain.as_json()
    assert Plan.model_validate(asking.as_json()) == asking
    digests = [[spec.digest for spec in expand(plan, {"echo": ECHO})] for plan in (plain, asking)]
    assert digests[0] == digests[1] != []
