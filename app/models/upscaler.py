"""Enlarges a finished image four times with a small network that redraws edges.

It works on straight colour that is extended under the transparent pixels, so that no edge mixes
with invisible colour. It does not know prompts or models.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from torch import Tensor, nn

from app.errors import ModelNotFound
from app.models.bundled import refuse_code
from app.types.base import Value

Pixels = NDArray[np.uint8]

CONFIG_FILE, WEIGHTS_FILE = "upscaler.json", "upscaler.safetensors"
SCALE = 4
TILE = 256
"""Larger images are processed in tiles of this side: one tile takes some 400 MB of memory."""

_NEIGHBOURS = 9
_MARGIN = 4 / 255
"""Alpha this near to 0 or 1 is set to 0 or 1: no haze, no thin spots."""
_NEIGHBOURHOODS = (27, 9, 3)
"""Windows over which colour is extended under clear pixels, the smallest last."""
_SURE, _NEAR = 4.0, 20.0
"""A pixel's own colour counts in full from alpha 1/4, a window's from a mean alpha of 1/20."""


class UpscalerConfig(Value):
    """The shape of the network; its file lies beside the weights."""

    channels: int = Field(32, ge=1, le=256)
    """Features of each pixel of the input."""
    deep: int = Field(64, ge=1, le=512)
    """Features of each two by two pixels, where most of the work is done."""
    blocks: int = Field(5, ge=1, le=64)
    """Residual blocks at half of the input's size."""
    fine: int = Field(12, ge=1, le=64)
    """Features of each pixel of the output."""


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Returns features of the same shape."""
        return cast(Tensor, x + self.second(F.relu(self.first(x))))


class UpscalerNetwork(nn.Module):
    """Mixes each new pixel's colour from its nine input neighbours, and corrects bicubic alpha.

    A mixture can be sharp at an edge without leaving the colours that are there, and what it learns
    holds for all colours; a network with only an added correction did not learn colour at all.
    """

    def __init__(self, config: UpscalerConfig) -> None:
        super().__init__()
        channels, deep = config.channels, config.deep
        self.entry = _convolution(4, channels)
        self.down = nn.Conv2d(channels, deep, 2, stride=2)
        self.blocks = nn.Sequential(*(Block(deep) for _ in range(config.blocks)))
        self.up = nn.Conv2d(deep, channels * 4, 1)
        self.join = Block(channels)
        self.widen = _convolution(channels, config.fine * SCALE**2)
        self.draw = _convolution(config.fine, _NEIGHBOURS + 4)
        self.register_buffer("bilinear", _bilinear(), persistent=False)

    @property
    def reach(self) -> int:
        """Returns how many pixels away, filling included, an input pixel can matter; even.

        A block at half size reaches four pixels; the rest is entry and `down` (one each), `join`
        (two), `widen` and `draw` (one each), and half of the widest neighbourhood.
        """
        far = max(_NEIGHBOURHOODS) // 2 + 4 * len(self.blocks) + 6
        return far + far % 2

    def forward(self, filled: Tensor) -> Tensor:
        """Maps straight RGBA [n, 4, h, w], 0 to 1, colour everywhere, to [n, 4, 4h, 4w], unbounded.

        The input comes from `fill_transparent`; `clamp_to_neighbours` bounds the output.
        """
        height, width = filled.shape[2:]
        even = F.pad(filled, (0, width % 2, 0, height % 2), mode="replicate")
        shallow = self.entry(even - 0.5)
        deep = self.blocks(self.down(F.relu(shallow)))
        joined = self.join(shallow + F.pixel_shuffle(self.up(F.relu(deep)), 2))
        drawn = self.draw(F.relu(F.pixel_shuffle(self.widen(F.relu(joined)), SCALE)))
        drawn = drawn[..., : height * SCALE, : width * SCALE]
        logits, added = drawn[:, :_NEIGHBOURS], drawn[:, _NEIGHBOURS:]
        colour = self._mixed(logits, filled[:, :3]) + added[:, :3]
        base = F.interpolate(filled[:, 3:], scale_factor=SCALE, mode="bicubic", align_corners=False)
        alpha = (base + added[:, 3:]) * (1 + 2 * _MARGIN) - _MARGIN
        return torch.cat([colour, alpha], dim=1)

    def _mixed(self, logits: Tensor, colour: Tensor) -> Tensor:
        """Returns colours [n, 3, 4h, 4w]; with zero logits the mixture is bilinear."""
        count, _, height, width = colour.shape
        cells = logits.reshape(count, _NEIGHBOURS, height, SCALE, width, SCALE)
        bilinear = cast(Tensor, self.bilinear)[:, None, :, None]
        shares = (cells + bilinear).softmax(dim=1)
        around = F.unfold(F.pad(colour, (1, 1, 1, 1), mode="replicate"), 3)
        around = around.view(count, 3, _NEIGHBOURS, height, 1, width, 1)
        mixed = (shares[:, None] * around).sum(dim=2)
        return mixed.reshape(count, 3, height * SCALE, width * SCALE)


class Upscaler:
    """The network, ready to enlarge; made by `load_upscaler`.

    Images are processed one at a time, so the same bytes give the same bytes on one device. `tile`
    is the side of the tiles, an even number of pixels; memory does not grow beyond one tile.
    """

    def __init__(self, network: UpscalerNetwork, *, tile: int = TILE) -> None:
        self._network = network.eval().requires_grad_(False)
        self._device = next(network.parameters()).device
        self._tile = tile

    def upscale(self, pixels: Pixels) -> Pixels:
        """Enlarges straight RGBA [h, w, 4] to [4h, 4w, 4]; clear regions stay clear, with colour 0.

        Takes any size, and its own output. Each tile is computed with all the surroundings that the
        network can see, so there are no seams: tiles differ from the whole image only by the order
        of sums, one level of 255 in one byte of many thousands. Raises ValueError for another shape
        or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise ValueError(
                f"enlarge needs uint8 RGBA [h, w, 4], got {pixels.dtype} {list(pixels.shape)}"
            )
        height, width = pixels.shape[:2]
        enlarged = np.empty((height * SCALE, width * SCALE, 4), np.uint8)
        for top, bottom, from_row, to_row in self._pieces(height):
            for left, right, from_column, to_column in self._pieces(width):
                drawn = self._drawn(pixels[from_row:to_row, from_column:to_column])
                enlarged[_large(top, bottom), _large(left, right)] = drawn[
                    _large(top - from_row, bottom - from_row),
                    _large(left - from_column, right - from_column),
                ]
        return enlarged

    def _pieces(self, length: int) -> Iterator[tuple[int, int, int, int]]:
        """Yields each tile's begin and end along one side, and the range that is read for it.

        All tiles begin at even places, as the network takes pixels two by two.
        """
        reach = self._network.reach
        for start in range(0, length, self._tile):
            end = min(start + self._tile, length)
            yield start, end, max(start - reach, 0), min(end + reach, length)

    def _drawn(self, pixels: Pixels) -> Pixels:
        with torch.inference_mode():
            seen = to_unit(pixels[None]).to(self._device)
            drawn = clamp_to_neighbours(self._network(fill_transparent(seen)), seen)
        enlarged = (drawn[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        enlarged[enlarged[..., 3] == 0] = 0
        return cast(Pixels, enlarged)


def _large(start: int, end: int) -> slice:
    return slice(start * SCALE, end * SCALE)


def load_upscaler(folder: Path, *, device: str | None = None) -> Upscaler:
    """Loads a folder with `upscaler.json` and `upscaler.safetensors`, in fp32.

    Without `device` it uses the GPU where there is one. Raises ModelNotFound when a file is
    missing, unreadable or does not fit, or when the folder holds pickles or code.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    refuse_code(folder)
    try:
        config = UpscalerConfig.model_validate_json((folder / CONFIG_FILE).read_text("utf-8"))
        network = UpscalerNetwork(config)
        weights = load_file(folder / WEIGHTS_FILE)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except (OSError, ValidationError, SafetensorError, RuntimeError) as error:
        raise ModelNotFound(
            f"no usable upscaler in {folder} ({type(error).__name__}: {error}); "
            "train one with `python -m jobs dev train-upscaler`"
        ) from error
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Upscaler(network.to(chosen))


def to_unit(pixels: Pixels) -> Tensor:
    """Converts uint8 [n, h, w, 4] to float [n, 4, h, w] from 0 to 1."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2) / 255


def fill_transparent(images: Tensor) -> Tensor:
    """Returns straight RGBA [n, 4, h, w], 0 to 1, with nearby colour under the clear pixels."""
    colour, alpha = images[:, :3], images[:, 3:]
    carried = torch.full_like(colour, 0.5)
    for window in _NEIGHBOURHOODS:
        share = _mean(alpha, window)
        near = _mean(colour * alpha, window) / share.clamp(min=1e-4)
        carried = torch.lerp(carried, near, (share * _NEAR).clamp(max=1))
    return torch.cat([torch.lerp(carried, colour, (alpha * _SURE).clamp(max=1)), alpha], dim=1)


def clamp_to_neighbours(drawn: Tensor, images: Tensor) -> Tensor:
    """Returns the output clamped to 0 to 1, clear where the input and its neighbours are clear."""
    around = F.max_pool2d((images[:, 3:] > 0).float(), 3, stride=1, padding=1)
    allowed = F.interpolate(around, scale_factor=SCALE, mode="nearest")
    unit = drawn.clamp(0, 1)
    return torch.cat([unit[:, :3], unit[:, 3:] * allowed], dim=1)


def _bilinear() -> Tensor:
    """Returns logits [9, 4, 4] of the nine neighbours' shares in a bilinear filter."""
    places = (torch.arange(SCALE) + 0.5) / SCALE - 0.5
    shares = (1 - (torch.tensor([-1.0, 0.0, 1.0])[:, None] - places).abs()).clamp(min=0)
    both = shares[:, None, :, None] * shares[None, :, None, :]
    return (both + 0.01).log().reshape(_NEIGHBOURS, SCALE, SCALE)


def _mean(images: Tensor, window: int) -> Tensor:
    """Returns the mean over a square window around each pixel, with 0 beyond the border."""
    half = window // 2
    rows = F.avg_pool2d(images, (window, 1), stride=1, padding=(half, 0))
    return F.avg_pool2d(rows, (1, window), stride=1, padding=(0, half))


def _convolution(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)
