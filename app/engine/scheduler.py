"""Which requests take part in the next step: a row budget, filled in order of arrival."""

from collections import deque
from collections.abc import Iterator
from itertools import chain

from app.engine.state import DenoiseState
from app.errors import EngineError


class Scheduler:
    """Holds the requests in flight by latent shape and fills at most `row_budget` rows a step.

    The family whose head has waited longest goes next; inside a family arrival decides, and a
    request that does not fit is passed over by a smaller one behind it, never dropped.
    """

    def __init__(self, row_budget: int) -> None:
        if row_budget < 2:
            raise EngineError(
                f"row budget {row_budget} is too small: a guided request takes 2 rows, allow more"
            )
        self.row_budget = row_budget
        self._families: dict[tuple[int, ...], deque[DenoiseState]] = {}

    def __len__(self) -> int:
        return sum(len(family) for family in self._families.values())

    def __iter__(self) -> Iterator[DenoiseState]:
        return chain.from_iterable(self._families.values())

    def add(self, state: DenoiseState) -> None:
        """Let a request join at the next step."""
        self._families.setdefault(family_of(state), deque()).append(state)

    def take(self) -> list[DenoiseState]:
        """The requests of the next step, all of one shape; empty when nothing is in flight."""
        if not self._families:
            return []
        shape = next(iter(self._families))
        family = self._families.pop(shape)
        chosen, waiting = self._fill(family)
        if waiting:
            self._families[shape] = waiting  # behind the other shapes: every shape gets its turn
        return chosen

    def _fill(self, family: deque[DenoiseState]) -> tuple[list[DenoiseState], deque[DenoiseState]]:
        chosen: list[DenoiseState] = []
        waiting: deque[DenoiseState] = deque()
        rows_left = self.row_budget
        for state in family:
            if state.rows <= rows_left:
                chosen.append(state)
                rows_left -= state.rows
            else:
                waiting.append(state)
        return chosen, waiting

    def put_back(self, states: list[DenoiseState]) -> None:
        """Return unfinished requests ahead of those that wait, so that nobody is overtaken."""
        for state in reversed(states):
            self._families.setdefault(family_of(state), deque()).appendleft(state)


def family_of(state: DenoiseState) -> tuple[int, ...]:
    """What rows must share to be stacked: the latent shape and the prompt's length."""
    return (*state.latents.shape, state.prompt.tokens.shape[1])
