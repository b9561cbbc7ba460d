"""Vocabulary: the words of a prompt that a model was never taught."""

from collections.abc import Collection

from app.types.prompt_words import words


def unknown_words(prompt: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """The prompt's words outside the vocabulary, each once, in their order and in lower case.

    An empty vocabulary stands for open language: nothing is unknown to it.
    """
    if not vocabulary:
        return ()
    known = frozenset(vocabulary)
    return tuple(word for word in dict.fromkeys(words(prompt)) if word not in known)
