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
    """An asset's version: the first digits of its key."""
    return key[:12]


class FinishedFile(Value):
    """A finished image at one target size: the file, and where its pixels are."""

    size: Size
    format: str
    digest: Digest
    trim: Rect
    pivot: Pivot


class Asset(Value):
    """A finished asset: one file for each target size."""

    name: Name
    version: str
    files: tuple[FinishedFile, ...]


class Placement(Value):
    """Where one sprite stands on a page; `frame` is its trimmed rectangle there."""

    name: Name
    frame: Rect
    trim: Rect
    source: Size
    pivot: Pivot


class AtlasPage(Value):
    """One atlas page and what stands on it."""

    name: str
    size: Size
    image: Digest
    metadata: Digest
    placements: tuple[Placement, ...]


class StageResult(Value):
    """What one model's turn at an asset came to."""

    model: str
    after: str = ""
    """Whose pictures had been refused before; with ~ and a strength when it went on from one."""
    tried: Annotated[int, Field(ge=1)]
    passed: int
    seconds: float


class Retry(Value):
    """A further attempt at an asset: which picture it followed, what it changed, what that gave."""

    model: str
    """The resolved reference."""
    change: str
    """The parameter that differs from the parent's, and how: see `app/refine/changes.py`."""
    parent: Digest | None
    """The picture that was not good enough; None when there was none to start from."""
    after: tuple[Measure, ...]
    """The rules that the parent broke."""
    image: Digest | None
    """What came of it: the picture's digest, and its key in the catalog."""
    key: Digest | None
    passed: bool
    seconds: Annotated[float, Field(ge=0)]

    def __str__(self) -> str:
        """The attempt in one line: steps changed on 1f2e3d4c for agreement: passed."""
        on = f" on {self.parent[:12]}" if self.parent else ""
        wrong = f" for {', '.join(self.after)}" if self.after else ""
        outcome = "passed" if self.passed else "not passed" if self.image else "came to no image"
        return f"{self.change} changed{on}{wrong}: {outcome}, {self.seconds:.2f} s"


class AssetRecord(Value):
    """The catalog row of an asset: what was asked, what was made, what was said of it."""

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
    """The further attempts in their order, where they were made with a reason."""
    explained: Digest | None = None
    """The document that says why its models were asked, where the plan left that open."""
    created_at: str = ""
