"""Shift: whether pictures still look as those did that were labelled, asked after every picture.

A conformal test martingale (Vovk et al. 2021): each new picture's rank among all before it is
drawn evenly as long as nothing changes, and a bet against that cannot win. The bets of all measures
are averaged. While nothing changes, the chance that they ever reach ALARM within a window is below
1 / ALARM, however often one looks.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence

import numpy as np

from app.types import Measure

ALARM = 100.0
"""What the bets must win to be believed: in at most 1 of 100 windows without any change."""
WINDOW = 1000
"""Pictures after which the bets begin anew, so that a late change is seen as soon as an early."""
ABSENT = -1e9
"""Stands for a score that is missing: below all others."""
_BETS = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
_JUMP = 0.01


class ShiftDetector:
    """The pictures of one sort as they come, beside those that were labelled."""

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
        """What the bets have come to in this window; 1 at its beginning."""
        return float(self._stakes.sum(axis=1).mean()) if self._columns else 1.0

    def observe(self, scores: Mapping[Measure, float], chance: float) -> None:
        """Note the next picture; `chance` is drawn evenly from 0 to 1, and decides among equals."""
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
