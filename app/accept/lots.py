"""Lots: which pictures are looked at first is drawn by their keys, so that a beginning is fair.

Whoever labels a run's pictures in this order may stop anywhere: what is labelled without a gap
from the front is a fair sample of the run. What people pick besides teaches, and proves nothing.
"""

from collections.abc import Iterable, Set
from itertools import takewhile

from app.digest import digest

SPOT_CHECKS = 0.1
"""The part of a run's pictures, by lot, that people are asked to look at whatever became of it."""


def lot(key: str, purpose: str = "order") -> float:
    """A number drawn for the key, 0 to 1; the same key, the same number."""
    return int(digest([purpose, key])[:13], 16) / 16.0**13


def fair(keys: Iterable[str], labelled: Set[str]) -> frozenset[str]:
    """Those that are labelled without a gap from the front, in the order of their lots."""
    return frozenset(takewhile(labelled.__contains__, sorted(keys, key=lot)))
