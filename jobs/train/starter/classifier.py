"""The classifier of kind, colour and style. It only scores the starter and does not ship."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Pixels


class Classifier(nn.Module):
    """A classifier of kind, colour and style of premultiplied images [n, 4, 64, 64] from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        channels = (4, 32, 64, 96, 128)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(channels)
        )
        self.summary = nn.Linear(128 * 16, 192)
        sizes = (len(KINDS), len(COLOURS), len(STYLES))
        self.heads = nn.ModuleList(nn.Linear(192, size) for size in sizes)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one tensor of logits for each of kind, colour and style."""
        x = images * 2 - 1
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        x = F.dropout(F.gelu(self.summary(x.flatten(1))), 0.1, self.training)
        return tuple(head(x) for head in self.heads)


@dataclass(frozen=True, slots=True)
class Classification:
    """The classifier's answers for each image: indices into KINDS, COLOURS, STYLES."""

    kinds: NDArray[np.int64]
    colours: NDArray[np.int64]
    styles: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    """The probability of every kind, [n, kinds]."""

    def style_names(self) -> NDArray[np.str_]:
        """Returns the name of the style of each image."""
        return np.array(STYLES)[self.styles]


def to_classifier_input(pixels: Pixels) -> Tensor:
    """Converts uint8 straight RGBA [n, h, w, 4] to premultiplied float [n, 4, h, w] from 0 to 1."""
    unit = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    return torch.cat([unit[:, :3] * unit[:, 3:], unit[:, 3:]], dim=1)


@torch.no_grad()
def classify(classifier: Classifier, pixels: Pixels) -> Classification:
    """Returns the most probable kind, colour and style of each image; works in batches of 64."""
    classifier.eval()
    device = next(classifier.parameters()).device
    pieces = [
        [
            head.cpu()
            for head in classifier(to_classifier_input(pixels[start : start + 64]).to(device))
        ]
        for start in range(0, len(pixels), 64)
    ]
    kind, colour, style = (torch.cat(logits) for logits in zip(*pieces, strict=True))
    return Classification(
        kind.argmax(1).numpy(),
        colour.argmax(1).numpy(),
        style.argmax(1).numpy(),
        kind.double().softmax(1).numpy(),
    )
