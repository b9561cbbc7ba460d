"""The deployed roles and the model version that each renders with, as its replicas report it."""

from collections.abc import Sequence

from app.route.by_role import DeployedModel, Role
from app.store.pointers import Pointer
from app.types import ModelVersion
from deployments.messages import Renderer


class LiveFleet:
    """The current version of each role; it changes when a replica renders with the new one."""

    def __init__(self, served: Sequence[DeployedModel]) -> None:
        self._served = {model.role: model for model in served}
        self._as_of = dict.fromkeys(self._served, 0)

    @property
    def served(self) -> tuple[DeployedModel, ...]:
        """Returns the model of every role."""
        return tuple(self._served.values())

    def model(self, role: Role) -> ModelVersion:
        """Returns the model version of one role."""
        return self._served[role].model

    async def follow_move(self, role: Role, renderer: Renderer, move: Pointer) -> None:
        """Reads a role's version from its replicas after a move of its alias.

        A replica that has not handled the move yet, or a role without replicas, is asked again at
        the next poll; a replica that refused the version has handled it. Raises what
        `renderer.state` raises.
        """
        if move.number == self._as_of[role]:
            return
        state = await renderer.state()
        if state.as_of == move.number:
            self._served[role] = self._served[role].replace(model=state.model)
            self._as_of[role] = state.as_of
