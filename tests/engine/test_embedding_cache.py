"""Prompt embeddings: encoded once per text, bounded, the negative prompt's pinned."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from app.engine.embedding_cache import EmbeddingCache
from app.engine.state import PromptEmbedding

BYTES = 4 * (4 + 1)


def cache_of(calls: list[str], room: int = 100) -> EmbeddingCache:
    def encode(text: str) -> PromptEmbedding:
        calls.append(text)
        return PromptEmbedding(torch.zeros(1, 2, 2), torch.zeros(1, 1), text)

    return EmbeddingCache(encode, byte_limit=room * BYTES)


def test_the_least_recently_used_go_when_the_bytes_run_out() -> None:
    calls: list[str] = []
    cache = cache_of(calls, room=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        assert cache.get(text).digest == text
    assert calls == ["a", "b", "c", "b"]
    assert cache.encoder_calls == 4


def test_a_pinned_text_stays_whatever_comes_and_goes() -> None:
    calls: list[str] = []
    cache = cache_of(calls, room=2)
    cache.get("blurry", pin=True)
    for number in range(50):
        cache.get(f"text {number}")
    cache.get("blurry")
    assert calls.count("blurry") == 1


def test_pins_are_bounded_too() -> None:
    calls: list[str] = []
    cache = cache_of(calls, room=1)
    for number in range(20):
        cache.get(f"negative {number}", pin=True)
    cache.get("x")
    cache.get("negative 0", pin=True)
    assert calls.count("negative 0") == 2


def test_threads_that_ask_for_one_text_encode_it_once() -> None:
    calls: list[str] = []
    cache = cache_of(calls)
    together = Barrier(8)

    def ask() -> str:
        together.wait()
        return cache.get("a").digest

    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert results == ["a"] * 8
    assert calls == ["a"]
