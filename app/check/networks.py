"""The critic's and appearance networks: two small encoders that match, and damage detectors.

Imported only when a critic is loaded or trained, because it needs torch.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 64
"""The networks take every image at 64 x 64."""

UNKNOWN = 0
"""The embedding row of every word outside the vocabulary."""

_CHANNELS = (4, 24, 48, 96, 128)


class CriticNetwork(nn.Module):
    """Gives two logits for an image and a prompt: that they match, and that nothing is damaged."""

    def __init__(self, word_count: int, *, width: int = 64) -> None:
        super().__init__()
        pairs = pairwise(_CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1, padding_mode="replicate") for a, b in pairs
        )
        self.summary = nn.Linear(_CHANNELS[-1] * (SIDE // 16) ** 2, 2 * width)
        self.picture = nn.Linear(2 * width, width)
        self.whole = nn.Linear(2 * width, 1)
        self.words = nn.Embedding(word_count + 1, width)
        self.hidden = nn.Linear(width, 2 * width)
        self.sentence = nn.Linear(2 * width, width)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(-5.0))

    def pictures(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns unit vectors [n, width] and wholeness logits [n] of images [n, 4, 64, 64].

        The images are premultiplied.
        """
        x = images * 2 - 1
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        summary = F.gelu(self.summary(x.flatten(1)))
        return F.normalize(self.picture(summary), dim=-1), self.whole(summary)[:, 0]

    def sentences(self, words: Tensor, mask: Tensor) -> Tensor:
        """Returns unit vectors [n, width] of word rows [n, length]; word order does not matter."""
        total = (self.words(words) * mask[..., None]).sum(dim=1)
        return F.normalize(self.sentence(F.gelu(self.hidden(total))), dim=-1)

    def match(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Returns the logits [n] that the image shows what the sentence says."""
        return self.scale * (pictures * sentences).sum(dim=-1) + self.bias


STYLE, COLOUR, FINISHED, CRISP, COMPOSED = range(5)
"""The positions of the outputs of `AppearanceNetwork`."""
_LOOKS_CHANNELS = (8, 32, 64, 96, 128)
_WIDTH = 128
_FINE = 6.0
"""The weight of a pixel's difference from its neighbours relative to its colour.

Grain, blocks and bands are faint beside shapes and would otherwise hardly be learned.
"""


class AppearanceNetwork(nn.Module):
    """Gives logits for images: styles, colours, finished, crisp, composed."""

    def __init__(self, styles: int, colours: int) -> None:
        super().__init__()
        pairs = pairwise(_LOOKS_CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1, padding_mode="replicate") for a, b in pairs
        )
        self.summary = nn.Linear(_LOOKS_CHANNELS[-1] * (SIDE // 16) ** 2, _WIDTH)
        self.answers = nn.Linear(_WIDTH, styles + colours + 3)
        self.sizes = (styles, colours, 1, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns logits [n, styles], [n, colours] and three of [n, 1].

        The input is premultiplied [n, 4, 64, 64]. Styles exclude each other (softmax); every other
        logit is independent (sigmoid).
        """
        fine = images - F.avg_pool2d(images, 3, stride=1, padding=1)
        x = torch.cat([images * 2 - 1, fine * _FINE], dim=1)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        answers = self.answers(F.gelu(self.summary(x.flatten(1))))
        return tuple(answers.split(self.sizes, dim=1))
