"""Device-dependent parts: the attention kernel, compilation, CUDA graphs, streams and pacing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal

import torch

from app.engine.row_budget import BUCKETS
from app.errors import InvalidRequest

Attention = Literal["native", "xformers"]
BLOCK_VARIANTS = 3
"""SD3.5's blocks of one class: with a second attention, without, and the last one."""
PROBE_LENGTH = 1357
"""Tokens of a 512x512 image with its text in SD3.5: the length the kernel is chosen for."""


def choose_attention(transformer: Any, wanted: Attention = "native") -> str:
    """Sets a transformer's attention kernel once and returns its name, such as native:cudnn.

    Raises InvalidRequest when xformers is wanted without its package or without a GPU.
    """
    if wanted == "native":
        return f"native:{_native_kernel(transformer)}"
    if transformer.device.type != "cuda" or find_spec("xformers") is None:
        raise InvalidRequest(
            f"attention xformers cannot be used on {transformer.device.type} here; "
            "install atelier[gpu] on a machine with a GPU, or use native"
        )
    transformer.enable_xformers_memory_efficient_attention()
    return "xformers"


def _native_kernel(transformer: Any) -> str:
    """Returns the kernel that PyTorch chooses for this model's device, dtype and shape."""
    heads, width = transformer.config.num_attention_heads, transformer.config.attention_head_dim
    probe = torch.empty(
        (1, heads, PROBE_LENGTH, width), device=transformer.device, dtype=transformer.dtype
    )
    chosen = torch.nn.attention.SDPBackend(torch._fused_sdp_choice(probe, probe, probe))
    return chosen.name.removesuffix("_ATTENTION").lower()


def compile_blocks(transformer: Any, *, backend: str = "inductor") -> None:
    """Compiles each transformer block by itself: one graph per kind of block and row bucket.

    PyTorch stops compiling after 8 graphs of one function, so its limit is raised to the number
    needed.
    """
    kinds = len({type(block) for block in transformer.transformer_blocks}) + BLOCK_VARIANTS
    limit = max(torch._dynamo.config.recompile_limit, kinds * len(BUCKETS))
    torch._dynamo.config.recompile_limit = limit
    for block in transformer.transformer_blocks:
        block.compile(fullgraph=True, dynamic=False, backend=backend)


class GraphedForward:
    """A transformer's forward pass as one CUDA graph per batch shape, replayed.

    The result stays valid until the next call. Raises InvalidRequest without a GPU.
    """

    def __init__(self, forward: Callable[..., Any], device: torch.device) -> None:
        if device.type != "cuda":
            raise InvalidRequest(f"CUDA graphs cannot run on {device.type}; leave graphs off")
        self._forward = forward
        self._captured: dict[tuple[torch.Size, ...], _Captured] = {}

    def __call__(self, **inputs: Any) -> tuple[torch.Tensor]:
        """Copies the batch into the captured inputs of its shape and replays the graph."""
        tensors = {name: value for name, value in inputs.items() if torch.is_tensor(value)}
        shape = tuple(tensor.shape for tensor in tensors.values())
        if shape not in self._captured:
            self._captured[shape] = _Captured(self._forward, inputs, tensors)
        return (self._captured[shape].replay(tensors),)


class _Captured:
    def __init__(
        self, forward: Callable[..., Any], inputs: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        self._inputs = {name: tensor.clone() for name, tensor in tensors.items()}
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            forward(**(inputs | self._inputs))  # capture needs all memory allocated
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output: torch.Tensor = forward(**(inputs | self._inputs))[0]

    def replay(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        for name, tensor in tensors.items():
            self._inputs[name].copy_(tensor)
        self._graph.replay()
        return self._output


class StepPacer:
    """Keeps a GPU at most one step behind the engine, and decoding off the steps' stream."""

    def __init__(self, device: torch.device) -> None:
        self._steps: list[torch.cuda.Event] = []
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def wait_for_previous(self) -> None:
        """Records a step that was launched and waits for the one before it."""
        if self._stream is None:
            return
        self._steps.append(torch.cuda.Event())
        self._steps[-1].record()
        if len(self._steps) > 1:
            self._steps.pop(0).synchronize()

    @contextmanager
    def side_stream(self) -> Iterator[None]:
        """Runs the block on a second stream, after the steps launched so far."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.default_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield
