"""A plan that refines by reason, as a person runs it: changed, recorded, and nothing made twice."""

from pathlib import Path
from typing import Any

import pytest

from app.digest import digest
from app.refine.statistics import STATISTICS, load_statistics
from app.store import documents
from app.types import Status
from tests.jobs.test_bulk import Home
from tests.jobs.test_routing import ran

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shared_ray")]

PLAN: dict[str, Any] = {
    "atelier": 1,
    "name": "hasty",
    "model": "starter",
    "defaults": {
        "kind": "icon", "sizes": ["64x64"], "candidates": 1, "attempts": 8, "refine": "reason",
        "num_inference_steps": 2, "guidance_scale": 3,
        "rules": [{"check": "duplicate_distance", "at_least": 0}],
    },
    "assets": [
        {"name": "item", "prompt": "a {colour} {what}",
         "axes": {"colour": ["red", "blue"], "what": ["potion", "sword", "key"]}},
    ],
}  # fmt: skip


def test_too_few_steps_are_mended_and_the_same_plan_makes_nothing_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = ran(home, PLAN)
    assert first["accepted"] >= 5, "by the next seed one in four passes"
    catalog = home.store.catalog
    records = catalog.find_assets(status=Status.ACCEPTED)
    mended = [record for record in records if record.retries]
    assert mended
    for record in mended:
        assert record.attempts == 1 + len(record.retries)
        passed = [retry.passed for retry in record.retries]
        assert passed == [False] * (record.attempts - 2) + [True]
        assert record.image is not None
        assert record.retries[-1].image == record.image.digest
    assert ran(home, PLAN)["made"] == 0
    assert len(documents.newest(catalog, STATISTICS)) == 1
    every = catalog.find_assets()
    learned = load_statistics(catalog, digest("another plan"))
    assert learned.retries == sum(len(record.retries) for record in every)
