"""Splits a prompt into words, for models with a fixed vocabulary."""

import re


def words(prompt: str) -> list[str]:
    """Returns the lower-case words of a prompt: runs of letters in any script."""
    return re.findall(r"[^\W\d_]+", prompt.lower())
