"""The tokenizer: CLIP's format, but every word of the grammar is a single token."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

MAX_LENGTH = 16
"""Tokens per prompt, start and end included; at this image size text costs as much as the image."""

_START, _END, _WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"

Pair = tuple[str, str]


def build_tokenizer(words: Sequence[str]) -> CLIPTokenizer:
    """Returns a CLIP tokenizer that keeps the given lower-case ASCII words whole.

    Every byte is a token too, so that no text is unknown; other words are split into pieces. The
    same words give the same ids.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _merges(words)
    tokens = [_START, _END, *alphabet, *(letter + _WORD_END for letter in alphabet)]
    tokens += [first + second for first, second in merges]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_LENGTH)


def _merges(words: Sequence[str]) -> list[Pair]:
    """Returns byte-pair merges (Sennrich et al. 2016) until every word is one token.

    The most frequent pair goes first; ties go by the age of their parts. The library's trainer
    breaks ties at random, and with other ids the trained text encoders would be useless.
    """
    pieces = [[*word[:-1], word[-1] + _WORD_END] for word in sorted(set(words))]
    letters = sorted({letter for word in words for letter in word})
    endings = sorted({piece[-1] for piece in pieces}, reverse=True)
    age = {symbol: index for index, symbol in enumerate([*letters, *endings])}
    merges: list[Pair] = []
    while counts := Counter(pair for word in pieces for pair in pairwise(word)):
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault(best[0] + best[1], len(age))
        pieces = [_merged(word, best) for word in pieces]
    return merges


def _merged(word: list[str], pair: Pair) -> list[str]:
    """Returns the word with every occurrence of the pair joined, from the left."""
    joined: list[str] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined
