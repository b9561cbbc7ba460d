"""Shift detection: whether new images still look like the labelled ones, tested after each image.

A conformal test martingale (Vovk et al. 2021): while nothing changes, each new image's rank among
all earlier ones is uniform, and a bet against that cannot win. The bets of all measures are
averaged. While nothing changes, the probability that they ever reach ALARM within a window is below
1 / ALARM, however often it is checked.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence

import numpy as np

from app.types import Measure

ALARM = 100.0
"""Wealth at which the detector alarms: at most 1 of 100 windows without any change reaches it."""
WINDOW = 1000
"""Images after which the bets start again, so a late change is seen as soon as an early one."""
ABSENT = -1e9
"""Stands for a missing score: below all others."""
_BETS = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
_JUMP = 0.01


class ShiftDetector:
    """Compares the images of one model and style, as they arrive, with the labelled ones."""

    def __init__(self, columns: Mapping[Measure, Sequence[float]]) -> None:
        self._columns = {measure: sorted(column) for measure, column in columns.items()}
        self.alarmed = False
        self.seen = 0
        self._begin()

    def _begin(self) -> None:
        self._known = {measure: list(column) for measure, column in self._columns.items()}
        self._stakes = np.full((len(self._columns), len(_BETS)), 1 / len(_BETS))

    @property
    def wealth(self) -> float:
        """Returns the wealth of the bets in this window; 1 at its start."""
        return float(self._stakes.sum(axis=1).mean()) if self._columns else 1.0

    def observe(self, scores: Mapping[Measure, float], chance: float) -> None:
        """Records the next image and updates `alarmed`.

        `chance` must be uniform in [0, 1]; it orders equal scores.
        """
        if self.seen and self.seen % WINDOW == 0:
            self._begin()
        self.seen += 1
        ranks = np.array(
            [self._rank(measure, scores.get(measure, ABSENT), chance) for measure in self._columns]
        )
        whole = self._stakes.sum(axis=1, keepdims=True)
        self._stakes = (1 - _JUMP) * self._stakes + _JUMP * whole / len(_BETS)
        self._stakes *= 1 + _BETS * (ranks[:, None] - 0.5)
        self.alarmed = self.alarmed or self.wealth >= ALARM

    def _rank(self, measure: Measure, score: float, chance: float) -> float:
        known = self._known[measure]
        below, up_to = bisect_left(known, score), bisect_right(known, score)
        rank = (below + chance * (up_to - below + 1)) / (len(known) + 1)
        insort(known, score)
        return rank
