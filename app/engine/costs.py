"""What steps and decoding take, learned as they are done; knows no request."""

from collections import deque
from collections.abc import Hashable, Iterable

KEPT = 15
"""Steps of a size that count."""


class StepCosts:
    """Seconds of a step for every family and number of rows that was ever run, and of decoding."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, dict[int, deque[float]]] = {}
        self._quiet: dict[Hashable, dict[int, float]] = {}
        self._decodes: dict[Hashable, deque[float]] = {}

    def took(self, family: Hashable, rows: int, seconds: float) -> None:
        """A step of so many rows, its padding among them, took so long."""
        seen = self._seen.setdefault(family, {}).setdefault(rows, deque(maxlen=KEPT))
        seen.append(seconds)
        self._quiet.setdefault(family, {})[rows] = _quiet(seen)

    def decoded(self, family: Hashable, seconds: float) -> None:
        """A picture's decoding took so long; to be called by one thread, which may be another."""
        self._decodes.setdefault(family, deque(maxlen=KEPT)).append(seconds)

    def decoding(self, family: Hashable) -> float:
        """What decoding a picture takes; nothing as long as none was decoded."""
        return _quiet(self._decodes.get(family, ()))

    def known(self, family: Hashable, rows: int) -> bool:
        """Whether so many rows were run."""
        return rows in self._quiet.get(family, {})

    def seconds(self, family: Hashable, rows: int) -> float | None:
        """What so many rows take; None as long as nothing of the family was run.

        Straight between two that were run, below them as the smallest, and beyond them in
        proportion, which is never too little.
        """
        known = sorted(self._quiet.get(family, {}).items())
        if not known:
            return None
        below = [one for one in known if one[0] <= rows]
        above = [one for one in known if one[0] >= rows]
        if not below:
            return above[0][1]
        (low, least), (high, most) = below[-1], above[0] if above else (0, 0.0)
        if not above:
            return least * rows / low
        return least if high == low else least + (most - least) * (rows - low) / (high - low)


def _quiet(seen: Iterable[float]) -> float:
    """The lower quarter: what it takes when larger steps and decoding beside it do not disturb,
    for that is what people are promised a share of.
    """
    ordered = sorted(seen)
    return ordered[len(ordered) // 4] if ordered else 0.0
