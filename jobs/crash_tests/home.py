"""A home of its own for one test: the plan, the store, and the log of the echo backend."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.store.publish import Store, open_store

COLOURS = ("red", "green", "blue", "white", "black", "pink", "gold", "grey")
ITEMS = ("potion", "gem", "coin", "key", "axe", "bow")
RULES = (
    {"check": "sharpness", "at_least": 0.803},  # about half pass: rounds follow
    {"check": "softness", "at_most": 1},
    {"check": "duplicate_distance", "at_least": 2},
)
LENIENT_RULES = (
    *({"check": check, "at_least": 0} for check in ("sharpness", "duplicate_distance")),
)
"""Rules that every image passes, for tests that want no second round."""


class CrashTestHome:
    """A folder with `home/`, which holds everything of one test."""

    def __init__(self, folder: Path, *, catalog_url: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.echo_log = folder / "diary"
        self.root = folder / "home"
        self._catalog_url = catalog_url

    def environment(self, **changes: str) -> dict[str, str]:
        """Returns this process's environment with the paths of this home, and the changes."""
        places = {
            "ATELIER_HOME": str(self.root),
            "ATELIER_STORE_URL": "",
            "ATELIER_CATALOG_URL": self._catalog_url,
            "ATELIER_ECHO_DIARY": str(self.echo_log),
            "ATELIER_FAULT": "",
        }
        return {**os.environ, **places, **changes}

    @property
    def settings(self) -> Settings:
        """Returns the settings that a process with this home's environment reads."""
        return Settings(home=self.root, store_url="", catalog_url=self._catalog_url)

    def open(self) -> Store:
        """Opens the store, creating it if missing; the caller closes its catalog."""
        return open_store(self.settings.blobs, self.settings.catalog)

    @property
    def has_catalog(self) -> bool:
        """Returns whether there is a catalog yet."""
        return bool(self._catalog_url) or (self.root / "catalog.db").exists()

    def write(self, plan: Mapping[str, Any]) -> Path:
        """Writes the plan to a file; JSON is YAML."""
        path = self.folder / "plan.yaml"
        path.write_text(json.dumps(plan))
        return path

    def rendered(self) -> list[tuple[float, str]]:
        """Returns the echo's log: seconds since 1970 and request id of each image."""
        if not self.echo_log.exists():
            return []
        lines = (line.split() for line in self.echo_log.read_text().splitlines())
        return [(float(when), request_id) for when, request_id in lines]


def rendered_counts(home: CrashTestHome) -> tuple[int, int]:
    """Counts the images that were rendered, and how often one was rendered again."""
    rendered = [request_id for _, request_id in home.rendered()]
    images = len(set(rendered))
    return images, len(rendered) - images


def crash_test_plan(assets: int, **defaults: Any) -> dict[str, Any]:
    """Returns a plan of `assets` echo images at two sizes, two candidates each."""
    variants = -(-assets // (len(COLOURS) * len(ITEMS)))
    plan_defaults = {
        "sizes": ["64x64", "32x32"],
        "candidates": 2,
        "attempts": 6,
        "rules": list(RULES),
    }
    names = [
        (colour, item, f"v{number}")
        for number in range(variants)
        for item in ITEMS
        for colour in COLOURS
    ]
    entries = [
        {
            "name": f"card-{colour}-{item}-{variant}",
            "kind": "icon",
            "prompt": f"{colour} {item} {variant}",
        }
        for colour, item, variant in names[:assets]
    ]
    return {
        "atelier": 1,
        "name": "trial",
        "model": "echo",
        "defaults": plan_defaults | defaults,
        "assets": entries,
    }


def lenient_plan(assets: int, **defaults: Any) -> dict[str, Any]:
    """Returns a plan of `assets` echo images, one for each, which every check accepts."""
    rules = list(LENIENT_RULES)
    return crash_test_plan(assets, rules=rules, candidates=1, attempts=1, **defaults)
