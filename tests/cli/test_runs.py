"""`atelier runs` and `atelier replay` as people type them."""

import json
from typing import Any

import pytest

from app.settings import Settings
from app.store.publish import open_store
from tests.cli.test_main import catalogued, home, run, run_json

__all__ = ["catalogued", "home"]


@pytest.mark.usefixtures("catalogued")
def test_replay_of_one_asset_says_identical_and_stores_nothing() -> None:
    (answer,) = run_json("replay", "potion.red")
    assert (answer["sameness"], answer["changes"]) == ("identical", [])
    assert "identical" in run("replay", "potion.red")


@pytest.mark.usefixtures("catalogued")
def test_replay_of_a_set_answers_for_each_and_names_what_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from app import environment

    monkeypatch.setattr(environment, "LIBRARIES", (*environment.LIBRARIES, "pydantic"))
    environment.environment.cache_clear()
    answers = run_json("replay", "--where", "name=*")
    output = run("replay", "--where", "status=rejected", "--where", "model=echo/1")
    monkeypatch.undo()
    environment.environment.cache_clear()
    assert {answer["name"] for answer in answers} == {"potion.red", "gem.red"}
    assert all(
        [change["field"] for change in answer["changes"]] == ["environment.libraries.pydantic"]
        for answer in answers
    )
    assert "identical, although environment.libraries.pydantic changed" in output
    assert "potion.red" not in output


@pytest.mark.usefixtures("catalogued")
def test_replay_that_differs_ends_with_exit_code_1(home: Any) -> None:
    store = open_store(Settings().blobs, Settings().catalog)
    image = store.catalog.asset("potion.red").image
    assert image is not None
    for blob in (home / "home" / "blobs").rglob(image.digest):
        blob.chmod(0o644)
        blob.write_bytes(b"rot")
    assert image.digest[:12] in run("replay", "potion.red", code=1)


@pytest.mark.usefixtures("catalogued")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name one asset"),
        (("potion.red", "--where", "status=accepted"), "name one asset"),
        (("--where", "colour=red"), "write one of name, status"),
        (("--where", "status=nice"), "'nice' is not a status"),
        (("potion.rad",), "did you mean potion.red"),
    ],
)
def test_an_unclear_set_is_refused_with_what_can_be_said(
    arguments: tuple[str, ...], words: str
) -> None:
    code = 1 if arguments == ("potion.rad",) else 2
    assert words in json.loads(run("replay", *arguments, "--json", code=code))["message"]


@pytest.mark.usefixtures("home")
def test_no_runs_yet_is_said_in_words() -> None:
    assert "no run was begun here yet" in run("runs")
    assert "no run 'x'" in json.loads(run("runs", "show", "x", "--json", code=1))["message"]


@pytest.mark.usefixtures("catalogued")
def test_runs_tell_what_became_of_each_asset_how_long_and_at_what_cost() -> None:
    catalog = open_store(Settings().blobs, Settings().catalog).catalog
    catalog.begin_run("run-1", plan="small", plan_digest="0" * 64)
    (begun,) = run_json("runs")
    assert (begun["run_id"], begun["ended_at"]) == ("run-1", None)
    assert "begun" in run("runs")
    assert "killed" in run("runs", "show", "run-1")
    catalog.end_run("run-1", {"asked": 2, "made": 4, "cost_usd": 0.25, "seconds": 3.5})
    shown = run_json("runs", "show", "run-1")
    assert shown["state"] == "ended"
    assert shown["fates"] == {"accepted": 1, "rejected": 1}
    assert shown["cost_usd"] == 0.25
    assert [asset["attempts"] for asset in shown["assets"]] == [2, 2]
    assert "coverage <= 0.01" in run("runs", "show", "run-1")
    catalog.end_run("run-1", {"stopped": True, "made": 4})
    assert "stopped" in run("runs")
