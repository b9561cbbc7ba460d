"""The row budget of a forward pass: the knee, halved when memory runs out, raised again later."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

BUCKETS = (1, 2, 4, 8, 16, 32)
"""The row counts a forward pass may be padded to."""
GUIDED_ROWS = 2
"""The rows of one request with guidance: no budget is smaller."""
PROBE_AFTER = 32
MAX_PROBE_AFTER = 4096
MAX_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class RowChange:
    """One entry of the trace: from this forward pass on a family runs at `rows`, and why."""

    forward_pass: int
    family: Hashable
    rows: int
    reason: str


@dataclass(slots=True)
class _Budget:
    knee: int
    rows: int
    good_steps: int = 0
    probe_after: int = PROBE_AFTER
    probing: bool = False


class RowBudgets:
    """One row budget per family, each starting at its knee.

    Never below `smallest` rows: a request that does not fit there cannot be made on this device.
    """

    def __init__(self, knee: Callable[[Hashable], int], *, smallest: int) -> None:
        self._knee = knee
        self._smallest = smallest
        self._budgets: dict[Hashable, _Budget] = {}
        self.trace: deque[RowChange] = deque(maxlen=MAX_CHANGES)
        self.forward_passes = 0

    def rows(self, family: Hashable) -> int:
        """Returns the current row budget of a family."""
        return self._budget(family).rows

    def record_success(self, family: Hashable) -> None:
        """Counts a forward pass; after enough good ones at a reduced budget, tries double."""
        self.forward_passes += 1
        budget = self._budget(family)
        budget.good_steps += 1
        if budget.good_steps < budget.probe_after:
            return
        budget.probing = budget.rows < budget.knee
        if budget.probing:
            budget.rows = min(budget.rows * 2, budget.knee)
            self._record_change(family, f"probe after {budget.good_steps} good steps")

    def halve(self, family: Hashable, reason: str) -> bool:
        """Halves a family's budget; returns False when it is already the smallest.

        A probe that failed is repeated only after twice as many good steps.
        """
        budget = self._budget(family)
        if budget.rows // 2 < self._smallest:
            return False
        if budget.probing:
            budget.probe_after = min(budget.probe_after * 2, MAX_PROBE_AFTER)
        budget.rows, budget.probing = budget.rows // 2, False
        self._record_change(family, reason)
        return True

    def _budget(self, family: Hashable) -> _Budget:
        if family not in self._budgets:
            knee = max(self._knee(family), self._smallest)
            self._budgets[family] = _Budget(knee, knee)
            self._record_change(family, "the knee of the measured curve")
        return self._budgets[family]

    def _record_change(self, family: Hashable, reason: str) -> None:
        budget = self._budgets[family]
        budget.good_steps = 0
        self.trace.append(RowChange(self.forward_passes, family, budget.rows, reason))


def bucket_for(rows: int) -> int:
    """Returns the smallest bucket that holds this many rows."""
    return next((bucket for bucket in BUCKETS if bucket >= rows), rows)
