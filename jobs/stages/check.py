"""The check stage: generated images get their scores and the rules' verdict."""

from importlib import import_module

from app.check.agreement import Critic
from app.flow.examine import examine
from app.models.bundled import critic_folder_of
from app.settings import Settings
from app.store.publish import open_store
from app.types import ModelVersion
from jobs.runtime.batches import ExaminedBatch, ExaminedRow, GeneratedBatch
from jobs.runtime.ray_data import StageWorker


class CheckStage(StageWorker[GeneratedBatch, ExaminedBatch]):
    """Keeps the critics of the models it has seen loaded; does not depend on generation."""

    takes = GeneratedBatch

    def __init__(self, settings: Settings, models: tuple[ModelVersion, ...] = ()) -> None:
        """Opens the store; loads torch when one of the `models` has a critic."""
        self._store = open_store(settings.blobs, settings.catalog)
        self._critics: dict[str, Critic | None] = {}
        if any(model.critic for model in models):
            import_module("app.check.networks")  # while the first images are generated

    def run(self, value: GeneratedBatch) -> ExaminedBatch:
        """Returns one candidate per outcome."""
        critic = self._critic(value.route.model)
        return ExaminedBatch(
            items=tuple(
                ExaminedRow(
                    name=item.spec.name,
                    candidates=tuple(examine(item.outcomes, item.spec, self._store, critic)),
                )
                for item in value.items
            ),
            loads=value.loads,
        )

    def _critic(self, model: ModelVersion) -> Critic | None:
        if model.reference not in self._critics:
            folder = critic_folder_of(model)
            self._critics[model.reference] = Critic.load(folder) if folder else None
        return self._critics[model.reference]
