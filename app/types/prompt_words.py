"""Words: how a prompt is read by whoever knows only some of them."""

import re


def words(prompt: str) -> list[str]:
    """The lower-case words of a prompt: runs of letters in any script."""
    return re.findall(r"[^\W\d_]+", prompt.lower())
