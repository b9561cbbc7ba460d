"""PixiJS itself, installed once beside the repository's other caches."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.programs import need

PIXI_VERSION = "8.22.0"
FOLDER = Path(__file__).parents[2] / ".cache" / "pixi"


@pytest.fixture(scope="session")
def pixi() -> Path:
    """The folder whose node_modules hold PixiJS.

    Skips where there is no node. Where there is one, an installation that fails is a failure:
    a test that silently stays out would let a broken sheet through.
    """
    need("node")
    if not _installed():
        need("npm")
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(
            [*command, "--prefix", str(FOLDER), f"pixi.js@{PIXI_VERSION}"],
            check=True,
            timeout=300,
        )
    return FOLDER


def _installed() -> bool:
    """npm writes this list last, so an interrupted installation does not count."""
    lock = FOLDER / "node_modules" / ".package-lock.json"
    if not lock.exists():
        return False
    package = json.loads(lock.read_text())["packages"].get("node_modules/pixi.js", {})
    return bool(package.get("version") == PIXI_VERSION)
