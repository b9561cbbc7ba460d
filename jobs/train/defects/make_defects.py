"""Writes the defect world to a folder: the files, and one line of JSON for each."""

from collections import Counter
from itertools import chain
from pathlib import Path

from app.errors import InvalidRequest
from app.image.png import png_bytes
from app.types import Value
from jobs.train.defects.world import DefectWorld, WorldExtent, WorldSample

MANIFEST = "manifest.jsonl"
TWINS = "twins"


class WrittenWorld(Value):
    """What was written, and where."""

    folder: str
    classes: dict[str, int]
    """Number of files by class; controls count as a class."""


def make_defects(folder: Path, extent: WorldExtent) -> WrittenWorld:
    """Writes every sample and the manifest; near duplicates also get their original, in `twins`.

    The same extent gives the same files. Raises InvalidRequest when the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidRequest(f"{folder} is not empty; give a new folder, or empty this one")
    folder.mkdir(parents=True, exist_ok=True)
    world, counts = DefectWorld(extent), Counter[str]()
    with (folder / MANIFEST).open("w", encoding="utf-8") as manifest:
        for entry in chain(world.controls(), world.spoilt()):
            _write(entry, folder)
            manifest.write(entry.sample.model_dump_json() + "\n")
            counts[entry.sample.defect] += 1
    return WrittenWorld(folder=str(folder), classes=dict(counts))


def _write(entry: WorldSample, folder: Path) -> None:
    (folder / entry.sample.file).write_bytes(entry.spoilt.data)
    if entry.spoilt.twin is not None:
        (folder / TWINS).mkdir(exist_ok=True)
        (folder / TWINS / entry.sample.file).write_bytes(png_bytes(entry.spoilt.twin, text={}))
