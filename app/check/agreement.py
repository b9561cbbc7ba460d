"""Agreement: the probability that an image shows what its prompt says, by a small critic.

The critic knows only its training vocabulary. A prompt with any word outside it and the neutral
words has agreement 0 for every image: the critic cannot judge words it does not know.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.check.looks import AppearanceModel
from app.check.planes import premultiplied
from app.environment import use_strict_blas
from app.errors import ModelNotFound
from app.types import Measure, Value
from app.types.request import words

if TYPE_CHECKING:
    from torch import Tensor

    from app.check.networks import CriticNetwork

Pixels = NDArray[np.uint8]

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
LOOKS = "looks"
"""The folder beside the critic's own that may hold the appearance model."""


class CriticConfig(Value):
    """The configuration stored beside the critic's weights."""

    vocabulary: tuple[str, ...]
    """Every training word, sorted; a word's row in the embedding is its index here plus one."""
    neutral: tuple[str, ...]
    """Words that the critic ignores."""
    threshold: float
    """The 5th percentile of the agreement of fresh drawings with their own captions."""


class Critic:
    """The critic, loaded for inference; made by `Critic.load`.

    Every image goes through the network alone, so that its score does not depend on other images:
    the same bytes and prompt give the same float, bit for bit.
    """

    def __init__(
        self, network: "CriticNetwork", config: CriticConfig, looks: AppearanceModel | None = None
    ) -> None:
        self._network = network
        self._looks = looks
        self._config = config
        self._sentence = lru_cache(maxsize=4096)(self._encode_sentence)

    @classmethod
    def load(cls, folder: Path) -> "Critic":
        """Loads the critic from a folder that holds `config.json` and `model.safetensors`.

        An appearance model in the folder `looks` beside it is loaded too. Raises ModelNotFound when
        a file is missing, unreadable or does not fit.
        """
        use_strict_blas()
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from torch import channels_last

        from app.check.networks import CriticNetwork

        try:
            config = CriticConfig(**json.loads((folder / CONFIG_FILE).read_text("utf-8")))
            network = CriticNetwork(len(config.vocabulary))
            weights = load_file(folder / WEIGHTS_FILE)
            network.load_state_dict({name: value.float() for name, value in weights.items()})
        except (OSError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
            raise ModelNotFound(
                f"no usable critic in {folder} ({type(error).__name__}: {error}); "
                "train one with `python -m jobs dev train-starter`"
            ) from error
        # Images arrive in channels-last order; convolutions in that memory format need no copies.
        network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        beside = folder.parent / LOOKS
        looks = AppearanceModel.load(beside) if beside.is_dir() else None
        return cls(network.eval().requires_grad_(False), config, looks)

    @property
    def threshold(self) -> float:
        """Returns the agreement that 95 % of fresh drawings reach with their own captions."""
        return self._config.threshold

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Returns every word of the training vocabulary, lower case, sorted."""
        return self._config.vocabulary

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Returns the prompt's words that are neither known nor neutral, in order."""
        known = {*self._config.vocabulary, *self._config.neutral}
        return tuple(word for word in words(prompt) if word not in known)

    def agreement(self, images: Pixels, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Returns probabilities [n] for straight-alpha RGBA images [n, h, w, 4] and their prompts.

        Raises ValueError when the shapes do not fit.
        """
        if images.ndim != 4 or images.shape[-1] != 4 or len(images) != len(prompts):
            raise ValueError(
                f"agreement needs RGBA images [n, h, w, 4] and n prompts, got images "
                f"{images.shape} and {len(prompts)} prompts"
            )
        pairs = zip(images, prompts, strict=True)
        return np.array([self._one(image, prompt) for image, prompt in pairs], dtype=np.float64)

    def appearance(self, image: Pixels, prompt: str) -> dict[Measure, float]:
        """Returns style, colours, finish, focus and composition of an RGBA image [h, w, 4].

        Empty when there is no appearance model beside the critic.
        """
        return self._looks.measures(premultiplied(image), prompt) if self._looks else {}

    def _one(self, image: Pixels, prompt: str) -> float:
        import torch

        if self.unknown_words(prompt):
            return 0.0
        with torch.inference_mode():
            seen = torch.from_numpy(premultiplied(image)).permute(2, 0, 1)[None]
            picture, whole = self._network.pictures(seen)
            match = self._network.match(picture, self._sentence(prompt))
            return float(torch.sigmoid(match) * torch.sigmoid(whole))

    def _encode_sentence(self, prompt: str) -> "Tensor":
        import torch

        rows = word_rows(prompt, self._config.vocabulary, self._config.neutral)
        taught = torch.tensor([rows or [0]])
        return self._network.sentences(taught, torch.ones(taught.shape))


def word_rows(prompt: str, vocabulary: Sequence[str], neutral: Sequence[str]) -> list[int]:
    """Returns the embedding rows of a prompt: 0 for unknown words, none for neutral ones."""
    rows = {word: index + 1 for index, word in enumerate(vocabulary)}
    return [rows.get(word, 0) for word in words(prompt) if word not in neutral]
