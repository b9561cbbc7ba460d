"""The deployed roles as callers see them: what each paints with now, as its replicas say."""

from collections.abc import Sequence

from app.route.by_role import DeployedModel, Role
from app.store.pointers import Pointer
from app.types import ModelVersion
from deployments.messages import Renderer


class LiveFleet:
    """The replicas lead: a role is shown with a version once a replica paints with it."""

    def __init__(self, served: Sequence[DeployedModel]) -> None:
        self._served = {model.role: model for model in served}
        self._as_of = dict.fromkeys(self._served, 0)

    @property
    def served(self) -> tuple[DeployedModel, ...]:
        """What every role paints with."""
        return tuple(self._served.values())

    def model(self, role: Role) -> ModelVersion:
        """What one role paints with."""
        return self._served[role].model

    async def follow_move(self, role: Role, renderer: Renderer, pointed: Pointer) -> None:
        """Ask for the version of a role whose alias has moved, until its replicas followed.

        One that was asked and is behind, or asleep, is asked again at the next look; one that
        refused the version has dealt with the move. Raises what keeps the painter from answering.
        """
        if pointed.number == self._as_of[role]:
            return
        state = await renderer.state()
        if state.as_of == pointed.number:
            self._served[role] = self._served[role].replace(model=state.model)
            self._as_of[role] = state.as_of
