"""The looks' network: one small encoder and one row of logits for each question it answers.

Imported only when looks are loaded or trained, for it needs torch.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 64
"""It sees every picture at 64 x 64."""
STYLE, COLOUR, FINISHED, CRISP, COMPOSED = range(5)
"""The places of the answers in what `LooksNetwork` gives."""
_CHANNELS = (8, 32, 64, 96, 128)
_WIDTH = 128
_FINE = 6.0
"""How much more weight a pixel's difference from its neighbours has than its colour: grain, blocks
and bands are faint beside shapes, and would hardly be learned."""


class LooksNetwork(nn.Module):
    """Gives logits for pictures: styles, colours, finished, crisp, composed."""

    def __init__(self, styles: int, colours: int) -> None:
        super().__init__()
        pairs = pairwise(_CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1, padding_mode="replicate") for a, b in pairs
        )
        self.summary = nn.Linear(_CHANNELS[-1] * (SIDE // 16) ** 2, _WIDTH)
        self.answers = nn.Linear(_WIDTH, styles + colours + 3)
        self.sizes = (styles, colours, 1, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits [n, styles], [n, colours] and thrice [n, 1] of premultiplied [n, 4, 64, 64].

        Styles exclude each other (softmax); every other logit stands for itself (sigmoid).
        """
        fine = images - F.avg_pool2d(images, 3, stride=1, padding=1)
        x = torch.cat([images * 2 - 1, fine * _FINE], dim=1)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        answers = self.answers(F.gelu(self.summary(x.flatten(1))))
        return tuple(answers.split(self.sizes, dim=1))
