"""The package sent to a cluster with a plan: the code of this checkout, the plan, its images.

The settings are not sent: a cluster has addresses and secrets of its own.
"""

import shutil
from pathlib import Path

from app.errors import InvalidRequest
from app.plan.background import Background, background_bytes
from app.plan.brand_file import brand_bytes as brand_of
from app.plan.schema import Plan

CODE = Path(__file__).parents[2]
FOLDERS = ("app", "jobs")
PLAN_FILE = "plan/plan.yaml"
LARGEST_BYTES = 256 << 20
"""Of all files together; Ray accepts no package beyond 512 MiB, and keeps it in memory."""


def write_package(folder: Path, plan: Plan, file: Path) -> int:
    """Writes all that a run of the plan needs into the folder; returns its size in bytes.

    Raises InvalidRequest when that is more than a job may bring, or when an image changed since the
    plan was read.
    """
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
        shutil.copytree(CODE / name, folder / name, ignore=ignored)
    written = folder / PLAN_FILE
    written.parent.mkdir()
    written.write_bytes(file.read_bytes())
    for picture in _pictures(plan):
        _add(picture.file, background_bytes(picture), written.parent)
    if plan.brand is not None and plan.brand.file:
        _add(plan.brand.file, brand_of(plan.brand), written.parent)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LARGEST_BYTES:
        raise InvalidRequest(
            f"code, plan and pictures are {size >> 20} MiB together, and a job takes "
            f"{LARGEST_BYTES >> 20} MiB along; make the plan's pictures smaller, or fewer"
        )
    return size


def _pictures(plan: Plan) -> list[Background]:
    named = [asset.background for asset in (plan.defaults, *plan.assets)]
    return [background for background in named if background is not None]


def _add(file: str, data: bytes, folder: Path) -> None:
    """Writes the file at the same path below the new folder, as the plan writes it."""
    target = folder / file
    if not target.resolve().is_relative_to(folder.resolve()):
        raise InvalidRequest(
            f"{file} leads out of the plan's folder on its way; "
            "write its path from there without '..'"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
