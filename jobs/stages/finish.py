"""The finish stage: decided assets become finished files and records of the catalog."""

from app.errors import AtelierError
from app.flow.complete import complete
from app.settings import Settings
from app.store.publish import open_store, publish_assets
from app.types import AssetRecord
from jobs.runtime.batches import CompletedBatch, DecidedBatch
from jobs.runtime.ray_data import StageWorker

FinishedRecord = tuple[AssetRecord, tuple[bytes, ...]]


class FinishStage(StageWorker[DecidedBatch, CompletedBatch]):
    """Publishes a row's assets in one transaction; an asset that cannot be finished fails alone."""

    takes = DecidedBatch

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._store = open_store(settings.blobs, settings.catalog)
        self._run_id = run_id

    def run(self, value: DecidedBatch) -> CompletedBatch:
        """Returns the catalog's records, and an error by name for what could not be published."""
        made, errors = self._finished(value)
        try:
            records = publish_assets(self._store, made)
        except AtelierError:
            records, refused = self._one_by_one(made)  # so that the failing one is named
            errors |= refused
        return CompletedBatch(records=records, errors=errors)

    def _finished(self, value: DecidedBatch) -> tuple[list[FinishedRecord], dict[str, str]]:
        made: list[FinishedRecord] = []
        errors: dict[str, str] = {}
        for item in value.items:
            try:
                made.append(complete(item, value.route, self._store, run_id=self._run_id))
            except AtelierError as error:
                errors[item.spec.name] = str(error)
        return made, errors

    def _one_by_one(
        self, made: list[FinishedRecord]
    ) -> tuple[tuple[AssetRecord, ...], dict[str, str]]:
        records: list[AssetRecord] = []
        errors: dict[str, str] = {}
        for item in made:
            try:
                records += publish_assets(self._store, [item])
            except AtelierError as error:
                errors[item[0].name] = str(error)
        return tuple(records), errors
