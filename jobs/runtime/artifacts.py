"""The files a run leaves for people: the atlas pages and the contact sheet."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import StoreError
from app.image.png import read_png
from app.sheets.contact_sheet import SheetEntry, contact_sheet
from app.store.publish import Store
from app.types import AssetRecord, AssetSpec, AtlasPage, Status
from jobs.runtime.summary import Outcomes, Summary

COUNTS = ("asked", "reused", "accepted", "review", "rejected", "failed", "made")


def write_artifacts(
    outcomes: Outcomes,
    pages: Sequence[AtlasPage],
    summary: Summary,
    store: Store,
    folder: Path,
    *,
    title: str,
) -> Summary:
    """Writes pages and contact sheet into the run's folder; returns the summary with paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = tuple(str(path) for page in pages for path in write_page(page, store, folder))
    figures = {name: getattr(summary, name) for name in (*COUNTS, "seconds", "images_per_hour")}
    html, _ = contact_sheet(
        _entries(outcomes, store), folder, title=title, summary=figures, counts=outcomes.counts
    )
    return summary.replace(pages=written, contact_sheet=str(html))


def write_page(page: AtlasPage, store: Store, folder: Path) -> tuple[Path, Path]:
    """Writes one page's image and metadata from the store into a folder; returns both paths."""
    image, metadata = folder / f"{page.name}.png", folder / f"{page.name}.json"
    image.write_bytes(store.blobs.get(page.image))
    metadata.write_bytes(store.blobs.get(page.metadata))
    return image, metadata


def _entries(outcomes: Outcomes, store: Store) -> Iterator[SheetEntry]:
    """Yields one entry per asset that is shown, in the plan's order."""
    for shown in outcomes.shown:
        if shown.record is None:
            yield _unrecorded(shown.spec, shown.error)
        else:
            yield _entry(shown.record, store, reused=shown.reused)


def _entry(record: AssetRecord, store: Store, *, reused: bool) -> SheetEntry:
    picture, reasons = _picture(record, store), record.reasons
    if isinstance(picture, StoreError):
        picture, reasons = None, (*reasons, str(picture))
    return SheetEntry(
        name=record.name,
        version=record.version,
        status=record.status,
        image=picture,
        prompt=record.spec.request.prompt,
        scores=record.report.scores if record.report else {},
        reasons=reasons,
        seconds=record.image.seconds if record.image else 0.0,
        attempts=record.attempts,
        reused=reused,
    )


def _unrecorded(spec: AssetSpec, reason: str) -> SheetEntry:
    return SheetEntry(
        name=spec.name,
        version="",
        status=Status.FAILED,
        image=None,
        prompt=spec.request.prompt,
        scores={},
        reasons=(reason,),
    )


def _picture(record: AssetRecord, store: Store) -> NDArray[np.uint8] | StoreError | None:
    """Returns the largest finished file, or the generated image when nothing was finished.

    A blob that is missing or damaged is returned as its error: the sheet reports it and shows the
    other assets.
    """
    if record.asset:
        digest = max(record.asset.files, key=lambda file: file.size.width).digest
    elif record.image:
        digest = record.image.digest
    else:
        return None
    try:
        return read_png(store.blobs.get(digest))
    except StoreError as error:
        return error
