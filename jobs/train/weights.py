"""Writes weights in half precision, the form in which the models ship."""

from pathlib import Path

from safetensors.torch import save_file
from torch import nn


def save_half(module: nn.Module, path: Path) -> None:
    """Writes the module's weights as float16 safetensors."""
    state = module.state_dict()
    save_file({name: value.half().cpu().contiguous() for name, value in state.items()}, path)
