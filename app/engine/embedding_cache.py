"""Caches one model's prompt embeddings by text: the encoder runs once per distinct text."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from app.engine.state import PromptEmbedding

MAX_PINNED = 8


class EmbeddingCache:
    """A least-recently-used cache bounded by bytes; never part of a result's identity.

    One cache belongs to one model at one text length, so the text is the whole key. Safe to share
    between threads; a caller that needs a text being encoded waits for it.
    """

    def __init__(self, encode: Callable[[str], PromptEmbedding], *, byte_limit: int) -> None:
        self._encode = encode
        self._byte_limit = byte_limit
        self._bytes = 0
        self._kept: OrderedDict[str, PromptEmbedding] = OrderedDict()
        self._pinned: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()
        self.encoder_calls = 0

    def get(self, text: str, *, pin: bool = False) -> PromptEmbedding:
        """Returns the text's embedding, cached or encoded now.

        Pinned texts (the negative prompts, which nearly every request shares) are kept while they
        are among the last few pinned.
        """
        with self._lock:
            if pin:
                self._pin(text)
            if text not in self._kept:
                self._kept[text] = self._encode(text)
                self.encoder_calls += 1
                self._bytes += self._kept[text].bytes
            self._kept.move_to_end(text)
            embedding = self._kept[text]
            self._drop(keep=text)
            return embedding

    def _pin(self, text: str) -> None:
        self._pinned[text] = None
        self._pinned.move_to_end(text)
        if len(self._pinned) > MAX_PINNED:
            self._pinned.popitem(last=False)

    def _drop(self, *, keep: str) -> None:
        loose = [text for text in self._kept if text not in self._pinned and text != keep]
        while self._bytes > self._byte_limit and loose:
            self._bytes -= self._kept.pop(loose.pop(0)).bytes
