"""`atelier costs`, and the money that `plan` and `runs show` tell of."""

from pathlib import Path
from typing import Any

import pytest

from app.backends.echo import EchoBackend
from app.costs.estimate import Band, Estimate
from app.fleet.prices import Price
from app.generate.generate import Generator
from app.generate.terms import GenerationTerms
from app.settings import Settings
from app.store.publish import Store, begin_run, open_store
from tests.cli.test_main import PLAN, home, run, run_json, written
from tests.values import ROUTE, request_with

__all__ = ["home"]


@pytest.fixture
def store(home: Path) -> Store:
    settings = Settings()
    return open_store(settings.blobs, settings.catalog)


@pytest.fixture
def spent(store: Store) -> None:
    """Five images of one asset at ten cents each, and one that nobody is known to have asked."""
    begin_run(store, "run-1", plan="small", document={})
    requests = [request_with(seed=seed) for seed in range(5)]
    terms = GenerationTerms(
        plan="small",
        price=Price(call=0.1),
        assets={request.id: "potion.red" for request in requests},
    )
    Generator(ROUTE, EchoBackend(), store, "run-1", terms).generate(requests)
    Generator(ROUTE, EchoBackend(), store, "run-2").generate([request_with(seed=9)])


@pytest.mark.usefixtures("home")
def test_an_empty_ledger_says_so() -> None:
    assert "nothing was booked yet" in run("costs")


@pytest.mark.usefixtures("spent")
def test_costs_are_told_by_team_run_model_and_asset() -> None:
    answer = run_json("costs", "--by", "asset")
    assert [(group["name"], group["usd"]) for group in answer["groups"]] == [
        ("potion.red", 0.5),
        ("", 0),
    ]
    assert (answer["total"]["usd"], answer["total"]["attempts"]) == (0.5, 6)
    assert answer["groups"][0]["usd_per_asset"] == 0.5
    assert [group["name"] for group in run_json("costs", "--by", "run")["groups"]] == [
        "run-1",
        "run-2",
    ]
    assert run_json("costs", "--by", "model")["groups"][0]["name"] == "echo/1"
    assert "(no team)" in run("costs")
    assert "(no asset)" in run("costs", "--by", "asset")
    assert run_json("costs", "--since", "2999")["groups"] == []
    assert "not a date" in run_json("costs", "--since", "yesterday", code=2)["message"]


@pytest.mark.usefixtures("spent")
def test_a_plan_shows_its_estimate_with_the_band_and_what_it_is_drawn_from(home: Path) -> None:
    assert "$" in run("plan", written(home, PLAN))
    answer = run_json("plan", written(home, PLAN))
    assert answer["estimate"]["images"] == {"low": 2, "expected": 2, "high": 6}
    assert "the last 6 images" in run("plan", written(home, PLAN))


@pytest.mark.usefixtures("spent")
def test_a_budget_that_may_not_suffice_is_told_before_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan: dict[str, Any] = PLAN | {"budget": {"usd": 0.7}}
    (free,) = run_json("plan", written(home, plan))["warnings"]
    assert "ATELIER_PRICES" in free
    sheet = home / "prices.yaml"
    sheet.write_text("models: {echo: {call: 0.1}}")
    monkeypatch.setenv("ATELIER_PRICES", str(sheet))
    (short,) = run_json("plan", written(home, plan))["warnings"]
    assert "$0.2000 of the plan's budget of $0.7000 are left" in short
    assert "up to $0.6000" in short
    assert not run_json("plan", written(home, plan | {"budget": {"usd": 5}}))["warnings"]


@pytest.mark.usefixtures("spent")
def test_a_run_says_how_good_its_estimate_was(store: Store) -> None:
    band = Band(low=0.4, expected=0.45, high=0.6)
    guess = Estimate(images=band, seconds=Band(low=1, expected=2, high=3), cost_usd=band, basis=())
    notes = {"asked": 1, "estimate": guess.as_json(), "cut_short": 2, "budget": "budget: gone"}
    store.catalog.end_run("run-1", notes)
    shown = run_json("runs", "show", "run-1")
    assert (shown["cost_usd"], shown["estimate"]["cost_usd"]["high"]) == (0.5, 0.6)
    text = run("runs", "show", "run-1")
    assert "expected $0.4500 ($0.4000 to $0.6000), cost $0.5000: inside the band" in text
    assert "took 0.0: below the band" in text
    assert "2 assets were cut short: budget: gone" in text


@pytest.mark.usefixtures("spent")
def test_a_bill_is_held_against_the_ledger_call_by_call(store: Store, tmp_path: Path) -> None:
    keys = [ROUTE.key(request_with(seed=seed).id) for seed in range(5)]
    idle = ROUTE.key(request_with(seed=9).id)
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "key,usd,what\n" + "".join(f"{key},0.1,image\n" for key in keys) + f"{idle},0\n"
    )
    answer = run_json("costs", "--bill", str(bill), "--model", "echo/1")
    assert (answer["agreeing"], answer["differing"]) == (6, [])
    assert (answer["billed_usd"], answer["booked_usd"]) == (0.5, 0.5)
    twice = "".join(f"{key},0.1\n" for key in [*keys[1:], keys[2], "f" * 64])
    bill.write_text("key,usd\n" + twice + f"{idle},0\n")
    answer = run_json("costs", "--bill", str(bill), "--model", "echo/1", code=1)
    assert {(row["key"], row["billed_usd"], row["booked_usd"]) for row in answer["differing"]} == {
        (keys[0], None, 0.1), (keys[2], 0.2, 0.1), ("f" * 64, 0.1, None),
    }  # fmt: skip
    assert "4 calls agree, 3 differ" in run(
        "costs", "--bill", str(bill), "--model", "echo/1", code=1
    )


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,usd\n", "no column key"),
        ("key,usd\nabc,free\n", "line 2: usd is 'free'"),
        ("key,usd\nabc,nan\n", "line 2: usd is 'nan'"),
    ],
)
def test_a_faulty_bill_is_refused_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(text)
    faulty = run_json("costs", "--bill", str(bill), "--model", "echo/1", code=2)
    assert message in faulty["message"]
    assert "needs --model" in run_json("costs", "--bill", str(bill), code=2)["message"]
