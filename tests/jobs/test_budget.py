"""A plan's budget as a person meets it: the run stops, or drafts take over, and money goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.types import CostGroup, Status, Tier
from tests.jobs.test_bulk import Home, plan_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]


def home_with(folder: Path, prices: dict[str, Any]) -> Home:
    """A home with a price sheet."""
    home, sheet = Home(folder), folder / "prices.yaml"
    sheet.write_text(json.dumps(prices))  # JSON is YAML
    home.environment |= {"ATELIER_PRICES": str(sheet), "ATELIER_USER": "ann"}
    return home


def ran(home: Home, plan: dict[str, Any], code: int) -> dict[str, Any]:
    done = home.run(home.write(plan))
    assert done.returncode == code, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def test_a_run_stops_at_its_budget_keeps_what_is_made_and_goes_on_with_more(tmp_path: Path) -> None:
    home = home_with(tmp_path, {"models": {"echo": {"call": 0.01, "at_most_seconds": 9}}})
    plan = plan_of(["red"], tags={"team": "art"})  # three assets, two images each
    short = ran(home, plan | {"budget": {"usd": 0.03}}, 1)
    assert (short["made"], short["cost_usd"]) == (3, 0.03)
    assert (short["accepted"], short["failed"], short["cut_short"]) == (2, 1, 2)
    assert short["budget"].startswith("budget: plan echo has spent $0.03")
    (failed,) = home.store.catalog.find_assets(status=Status.FAILED)
    assert any(reason.startswith("budget:") for reason in failed.reasons)
    whole = ran(home, plan | {"budget": {"usd": 1}}, 0)
    assert (whole["reused"], whole["accepted"], whole["made"]) == (2, 1, 2)
    (art,) = home.store.catalog.costs(CostGroup.TEAM).groups
    assert (art.name, art.usd, art.accepted, art.lost) == ("art", 0.05, 3, 0)
    assert ran(home, plan | {"budget": {"usd": 1}}, 0)["cost_usd"] == 0
    assert home.store.catalog.costs(CostGroup.TEAM).total.usd == 0.05


def test_at_the_cap_the_draft_model_takes_over_where_the_plan_says_so(tmp_path: Path) -> None:
    home = home_with(tmp_path, {"models": {"starter-icons": {"call": 1, "at_most_seconds": 9}}})
    budget = {"usd": 0.5, "at_cap": "draft", "draft_model": "echo"}
    drawn = ran(home, plan_of(["red"], model="starter", budget=budget), 0)
    assert (drawn["accepted"], drawn["made"], drawn["cost_usd"]) == (3, 6, 0)
    assert drawn["cut_short"] == 3
    record = home.store.catalog.asset("potion.red.gem")
    assert record.model == "echo/1"
    assert record.spec.request.tier is Tier.DRAFT
    again = ran(home, plan_of(["red"], model="starter", budget=budget), 0)
    assert (again["reused"], again["made"]) == (3, 0)
