"""Prompt embeddings kept by text: the encoder is called once per distinct text while it fits."""

from collections import OrderedDict
from collections.abc import Callable

from app.engine.state import PromptEmbedding


class EmbeddingCache:
    """Least recently used first out, bounded by bytes; never part of a result's identity."""

    def __init__(self, encode: Callable[[str], PromptEmbedding], *, byte_limit: int) -> None:
        self._encode = encode
        self._byte_limit = byte_limit
        self._bytes = 0
        self._kept: OrderedDict[str, PromptEmbedding] = OrderedDict()
        self.encoder_calls = 0

    def get(self, text: str) -> PromptEmbedding:
        """The text's embedding, encoded now or remembered."""
        if text in self._kept:
            self._kept.move_to_end(text)
            return self._kept[text]
        embedding = self._encode(text)
        self.encoder_calls += 1
        self._keep(text, embedding)
        return embedding

    def _keep(self, text: str, embedding: PromptEmbedding) -> None:
        self._kept[text] = embedding
        self._bytes += embedding.bytes
        while self._bytes > self._byte_limit and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.bytes
