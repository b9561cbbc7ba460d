"""Reads what the digest of an `init_image` names: a PNG, or clean latents in a safetensors file.

With latents, a model of the same latent space skips decoding to pixels and encoding again.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from app.errors import BadImage
from app.image.png import SIGNATURE, read_any_png

if TYPE_CHECKING:
    import torch

    from app.engine.pipeline import Start

NAME = "latents"
MAX_NUMBERS = 64 * 512 * 512
"""The most numbers in a file: 64 channels of an image 4096 pixels a side."""


def latents_bytes(latents: NDArray[np.float32]) -> bytes:
    """Returns the file for latents [channels, height, width]; the bytes are deterministic."""
    data: bytes = save({NAME: np.ascontiguousarray(latents)})
    return data


def read_init_image(data: bytes) -> "Start":
    """Returns the RGBA pixels of an 8-bit PNG, or the latents of a file made by `latents_bytes`.

    Safe on untrusted bytes; raises BadImage.
    """
    return read_any_png(data) if data.startswith(SIGNATURE) else _latents(data)


def _latents(data: bytes) -> "torch.Tensor":
    import torch  # the driver of a run only writes latents

    try:
        latents = load(data)[NAME]
    except (SafetensorError, KeyError) as exc:
        raise BadImage("the file is neither a PNG nor latents; give one whole file") from exc
    if latents.dtype != np.float32 or latents.ndim != 3 or latents.size > MAX_NUMBERS:
        raise BadImage(
            f"the latents are {latents.dtype} {list(latents.shape)}; give float32 "
            f"[channels, height, width] of at most {MAX_NUMBERS} numbers"
        )
    return torch.from_numpy(latents)
