"""The size of a proof: its smallest form in the suite, its whole form under `--deep`."""

import os

import pytest

scaled = pytest.mark.scaled
"""Marks a test that has a larger form, as each test of Hypothesis without a number of its own."""


def size(small: int, whole: int) -> int:
    """Returns the number of trials: `small` in the suite, `whole` under `make test-deep`."""
    return whole if os.environ.get("ATELIER_TEST_DEEP") else small
