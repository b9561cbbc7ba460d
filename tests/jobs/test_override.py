"""What people said between two runs of a plan, as the second one finds it."""

import json
from pathlib import Path

import pytest

from app.flow.override import override
from app.types import Status
from tests.jobs.test_bulk import ECHO_RULES, Home, plan_of
from tests.jobs.test_routing import ran

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

FOR_PEOPLE = {"check": "coverage", "at_most": 0.01, "otherwise": "review"}


def test_the_next_run_packs_what_people_accepted_and_makes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    plan = plan_of(["red"])
    plan["assets"][0]["rules"] = [*ECHO_RULES, FOR_PEOPLE]
    first = ran(home, plan)
    assert (first["asked"], first["review"], first["pages"]) == (3, 3, [])
    good, bad, _ = home.store.catalog.find_assets(status=Status.REVIEW)
    override(home.store, good, "good", reviewer="ann")
    override(home.store, bad, "bad", reviewer="ann")
    second = ran(home, plan)
    assert second["made"] == 0
    assert [second[fate] for fate in ("reused", "review", "rejected")] == [1, 1, 1]
    packed = [json.loads(Path(page).read_text()) for page in second["pages"] if "json" in page]
    assert {name for page in packed for name in page["frames"]} == {good.name}
