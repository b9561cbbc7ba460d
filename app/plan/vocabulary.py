"""Vocabulary: the words of a prompt that a model was never taught."""

import re
from collections.abc import Collection


def unknown_words(prompt: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """The prompt's words outside the vocabulary, each once, in their order and in lower case.

    A word is a run of letters in any script, as the image-text critic reads prompts. An empty
    vocabulary stands for open language: nothing is unknown to it.
    """
    if not vocabulary:
        return ()
    words = dict.fromkeys(re.findall(r"[^\W\d_]+", prompt.lower()))
    known = frozenset(vocabulary)
    return tuple(word for word in words if word not in known)
