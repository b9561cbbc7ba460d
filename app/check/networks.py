"""The image-text critic's network: two small encoders that agree, and a judge of damage.

Imported only when a critic is loaded or trained, for it needs torch.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 64
"""The critic sees every picture at 64 x 64."""

UNKNOWN = 0
"""The row of the word table that stands for every word the critic was not taught."""

_CHANNELS = (4, 24, 48, 96, 128)


class CriticNetwork(nn.Module):
    """Gives two logits for a picture and a prompt: they belong together, and nothing is damaged."""

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
        """Unit directions [n, width] and wholeness logits [n] of premultiplied [n, 4, 64, 64]."""
        x = images * 2 - 1
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        summary = F.gelu(self.summary(x.flatten(1)))
        return F.normalize(self.picture(summary), dim=-1), self.whole(summary)[:, 0]

    def sentences(self, words: Tensor, mask: Tensor) -> Tensor:
        """Unit directions [n, width] of word rows [n, length]; the order of words plays no part."""
        total = (self.words(words) * mask[..., None]).sum(dim=1)
        return F.normalize(self.sentence(F.gelu(self.hidden(total))), dim=-1)

    def match(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """The logit that the picture shows what the sentence says, [n]."""
        return self.scale * (pictures * sentences).sum(dim=-1) + self.bias


STYLE, COLOUR, FINISHED, CRISP, COMPOSED = range(5)
"""The places of the answers in what `AppearanceNetwork` gives."""
_LOOKS_CHANNELS = (8, 32, 64, 96, 128)
_WIDTH = 128
_FINE = 6.0
"""How much more weight a pixel's difference from its neighbours has than its colour: grain, blocks
and bands are faint beside shapes, and would hardly be learned."""


class AppearanceNetwork(nn.Module):
    """Gives logits for pictures: styles, colours, finished, crisp, composed."""

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
        """The logits [n, styles], [n, colours] and thrice [n, 1] of premultiplied [n, 4, 64, 64].

        Styles exclude each other (softmax); every other logit stands for itself (sigmoid).
        """
        fine = images - F.avg_pool2d(images, 3, stride=1, padding=1)
        x = torch.cat([images * 2 - 1, fine * _FINE], dim=1)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        answers = self.answers(F.gelu(self.summary(x.flatten(1))))
        return tuple(answers.split(self.sizes, dim=1))
