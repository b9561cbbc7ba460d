"""The contact sheet: every asset of a run with its verdict, as one HTML file and one PNG.

The HTML needs no network and no second file: images are data URIs, and its content policy allows
only them and the page's two inline blocks. All text is escaped.
"""

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from app.image.png import png_bytes
from app.sheets.entries import Pixels, SheetEntry, select
from app.sheets.grid import draw_grid
from app.types import Measure, Status

__all__ = ["SheetEntry", "contact_sheet"]

HTML_LIMIT = 2000
"""Entries that a page can hold and still open quickly; the PNG holds fewer (`grid.LIMIT`)."""

_PIXEL_ART = 128
"""Images up to this side are enlarged with hard pixels, so that each pixel can be judged."""

_LARGEST: dict[Measure, float] = {
    Measure.CONTRAST: 0.5, Measure.DUPLICATE_DISTANCE: 64, Measure.PALETTE_ERROR: 100,
    Measure.LIGHT_ERROR: 180, Measure.MARGIN: 0.5, Measure.RESOLUTION: 1024,
}  # fmt: skip
"""The value at which a measure's bar is full, if not 1."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """One score on the page."""

    label: str
    figure: str
    value: float
    largest: float


def contact_sheet(
    entries: Iterable[SheetEntry],
    folder: Path,
    *,
    title: str,
    summary: Mapping[str, str | float | int],
    counts: Mapping[Status, int] | None = None,
) -> tuple[Path, Path]:
    """Writes contact_sheet.html and contact_sheet.png into the folder and returns their paths.

    Entries may be a generator of any length: memory stays bounded. Beyond HTML_LIMIT the most
    severe are shown, and both sheets say how many of how many: of the entries, or of `counts` when
    the caller has selected them before. The same entries give the same bytes. Safe to repeat: both
    files are replaced.
    """
    selection = select(entries, limit=HTML_LIMIT)
    if counts is not None:
        selection = replace(selection, counts=counts)
    figures = {key.replace("_", " "): _figure(value) for key, value in summary.items()}
    page = environment().get_template("contact_sheet.html")
    text = page.render(title=title, summary=figures, selection=selection, statuses=tuple(Status))
    folder.mkdir(parents=True, exist_ok=True)
    html, png = folder / "contact_sheet.html", folder / "contact_sheet.png"
    html.write_text(text, encoding="utf-8", newline="\n")
    draw_grid(selection, title=title, summary=figures).save(png, compress_level=2)
    return html, png


def environment() -> Environment:
    """Returns templates that escape every value and raise for a missing one."""
    templates = Environment(
        loader=PackageLoader("app.sheets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "bars": _bars,
        "data_uri": _data_uri,
        "figure": _figure,
        "policy_hash": _policy_hash,
    }
    templates.tests["pixel_art"] = _is_pixel_art
    return templates


def _figure(value: str | float | int) -> str:
    """Formats a value for people: 12,345 and 0.25."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _bars(scores: Mapping[Measure, float]) -> list[_Bar]:
    """Returns the scores in the order of the measures, which is the order of the checks."""
    return [
        _Bar(measure.replace("_", " "), _score(scores[measure]), scores[measure], largest)
        for measure in Measure
        if measure in scores
        for largest in [_LARGEST.get(measure, 1.0)]
    ]


def _score(score: float) -> str:
    return f"{score:g}" if score.is_integer() else f"{score:.2f}"


def _is_pixel_art(image: Pixels) -> bool:
    return bool(max(image.shape[:2]) <= _PIXEL_ART)


def _data_uri(image: Pixels) -> str:
    """Returns the image as a data URI: PNG when small, else WebP, a tenth of the size."""
    if _is_pixel_art(image):
        return "data:image/png;base64," + base64.b64encode(png_bytes(image, text={})).decode()
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _policy_hash(block: str) -> str:
    """Returns the source expression that allows exactly this inline block (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"
