"""Outputs: the images of runs or models as rows of numbers that can be compared."""

from collections.abc import Sequence

from app.accept.drift import MIN_IMAGES, Row
from app.accept.risk_model import own_scores
from app.check.integrity import decode_or_none
from app.check.palette import colour_summary
from app.errors import BlobNotFound, CatalogError, InvalidRequest
from app.store.publish import Store
from app.store.run_statistics import latest_verdicts
from app.types import AssetRecord, QualityReport

WINDOW = 1000
"""Images of a reference at most: the latest ones."""


def latest_run(store: Store) -> str:
    """Returns the run of the newest decided asset. Raises InvalidRequest when there is none."""
    newest = latest_verdicts(store.catalog, limit=1)
    if not newest:
        raise InvalidRequest("no run has decided an asset yet; run a plan first")
    return newest[0].run_id


def run_and_baseline(store: Store, run_id: str) -> tuple[list[Row], list[Row]]:
    """Returns the latest rows of earlier runs of the same plan, and the run's own rows in order."""
    runs = {run.run_id: run for run in store.catalog.runs()}
    if run_id not in runs:
        raise CatalogError(f"there is no run {run_id!r}; list the runs to see their ids")
    this = runs[run_id]
    earlier = {
        run.run_id for run in runs.values()
        if run.plan == this.plan and (run.started_at, run.run_id) < (this.started_at, run_id)
    }  # fmt: skip
    records = latest_verdicts(store.catalog)[::-1]
    before = [record for record in records if record.run_id in earlier][-WINDOW:]
    own = [record for record in records if record.run_id == run_id]
    if len(before) < MIN_IMAGES or not own:
        raise InvalidRequest(
            f"{run_id} decided {len(own)} assets and earlier runs of {this.plan} {len(before)}; "
            f"at least {MIN_IMAGES} earlier ones are needed for bands"
        )
    return score_rows(store, before), score_rows(store, own)


def latest_outputs(store: Store, named: str) -> list[Row]:
    """Returns the latest rows of a run or model version. Raises InvalidRequest without any."""
    records = [
        record
        for record in latest_verdicts(store.catalog)
        if named in (record.run_id, record.model)
    ][:WINDOW]
    if not records:
        raise InvalidRequest(
            f"{named} is neither a run nor a model version with a decided asset; "
            "see atelier runs list"
        )
    return score_rows(store, records)


def score_rows(store: Store, records: Sequence[AssetRecord]) -> list[Row]:
    """Returns each image's scores and colour summary; the scores alone when the file is missing."""
    keys = [record.key for record in records]
    whole = store.catalog.asset_records(keys)  # verdicts leave the images out
    return [
        _row(store, whole[key], report) for key in keys if (report := whole[key].report) is not None
    ]


def _row(store: Store, record: AssetRecord, report: QualityReport) -> Row:
    scores = {str(name): score for name, score in own_scores(report.scores).items()}
    if record.image is None:
        return scores
    try:
        pixels = decode_or_none(store.blobs.get(record.image.digest))
    except BlobNotFound:
        return scores
    return scores if pixels is None else scores | colour_summary(pixels)
