"""The finish stage: decided assets become finished files and rows of the catalog."""

from app.complete import complete
from app.errors import AtelierError
from app.settings import Settings
from app.store.publish import open_store
from app.types import AssetRecord
from jobs.batches import CompletedBatch, DecidedBatch
from jobs.cluster import Stage


class FinishStage(Stage[DecidedBatch, CompletedBatch]):
    """Publishes each asset on its own: one that cannot be finished fails alone, with its reason."""

    takes = DecidedBatch

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._store = open_store(settings.blobs, settings.catalog)
        self._run_id = run_id

    def run(self, value: DecidedBatch) -> CompletedBatch:
        """The catalog's records, and an error by name for what could not be published."""
        records: list[AssetRecord] = []
        errors: dict[str, str] = {}
        for item in value.items:
            try:
                records.append(
                    complete(
                        item.spec,
                        value.route,
                        item.decision,
                        self._store,
                        run_id=self._run_id,
                        attempts=item.attempts,
                    )
                )
            except AtelierError as error:
                errors[item.spec.name] = str(error)
        return CompletedBatch(records=tuple(records), errors=errors)
