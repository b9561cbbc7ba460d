"""Finished assets, atlas pages, and the catalog's record of an asset."""

from typing import Annotated

from pydantic import Field

from app.types.base import Pivot, Rect, Size, Value
from app.types.fields import Digest, Name, Status
from app.types.judgement import QualityReport
from app.types.measures import Measure
from app.types.provenance import GeneratedImage, Provenance
from app.types.spec import AssetSpec


def version_of(key: str) -> str:
    """Returns an asset's version: the first 12 hex digits of its key."""
    return key[:12]


class FinishedFile(Value):
    """A finished image at one target size: its blob, trim rectangle and pivot."""

    size: Size
    format: str
    digest: Digest
    trim: Rect
    pivot: Pivot


class Asset(Value):
    """A finished asset: one file per target size."""

    name: Name
    version: str
    files: tuple[FinishedFile, ...]


class Placement(Value):
    """The place of one sprite on a page; `frame` is its trimmed rectangle on the page."""

    name: Name
    frame: Rect
    trim: Rect
    source: Size
    pivot: Pivot


class AtlasPage(Value):
    """One atlas page and its placements."""

    name: str
    size: Size
    image: Digest
    metadata: Digest
    placements: tuple[Placement, ...]


class StageResult(Value):
    """The result of one model's stage in a cascade for an asset."""

    model: str
    after: str = ""
    """Models whose images were rejected before; with ~ and a strength if it started from one."""
    tried: Annotated[int, Field(ge=1)]
    passed: int
    seconds: float


class Retry(Value):
    """One further attempt at an asset: its parent image, the changed parameter, the result."""

    model: str
    """The resolved model reference."""
    change: str
    """The parameter that differs from the parent's, and how: see `app/refine/changes.py`."""
    parent: Digest | None
    """The image that did not pass; None when there was none to start from."""
    after: tuple[Measure, ...]
    """The measures of the rules that the parent broke."""
    image: Digest | None
    """The digest of the resulting image, and below its key in the catalog; None when it failed."""
    key: Digest | None
    passed: bool
    seconds: Annotated[float, Field(ge=0)]

    def __str__(self) -> str:
        """Returns the attempt in one line: steps changed on 1f2e3d4c for agreement: passed."""
        on = f" on {self.parent[:12]}" if self.parent else ""
        wrong = f" for {', '.join(self.after)}" if self.after else ""
        outcome = "passed" if self.passed else "not passed" if self.image else "made no image"
        return f"{self.change} changed{on}{wrong}: {outcome}, {self.seconds:.2f} s"


class AssetRecord(Value):
    """The catalog row of an asset: its spec, the image made, the judge's report."""

    key: Digest
    name: Name
    version: str
    status: Status
    spec: AssetSpec
    model: str
    report: QualityReport | None
    reasons: tuple[str, ...]
    image: GeneratedImage | None
    asset: Asset | None
    provenance: Provenance | None
    attempts: int
    phash: int = 0
    run_id: str
    turns: tuple[StageResult, ...] = ()
    retries: tuple[Retry, ...] = ()
    """Attempts made for a stated reason, in order."""
    explained: Digest | None = None
    """The document that explains why its models were chosen, where the plan left the model open."""
    created_at: str = ""
