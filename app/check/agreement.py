"""Agreement: how probable it is that a picture shows what its prompt says, by a small critic.

The critic knows only the words it was taught. A prompt with any other word than those, or a few
neutral ones, has the agreement 0 whatever the picture: the critic cannot vouch for what it does
not know.
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
from app.check.network_input import premultiplied
from app.environment import use_strict_blas
from app.errors import ModelNotFound
from app.types import Measure, Value
from app.types.prompt_words import words

if TYPE_CHECKING:
    from torch import Tensor

    from app.check.networks import CriticNetwork

Pixels = NDArray[np.uint8]

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
LOOKS = "looks"
"""The folder beside a critic's own where the looks of the same pictures may stand."""


class CriticConfig(Value):
    """What stands beside the critic's weights."""

    vocabulary: tuple[str, ...]
    """Every word it was taught, sorted; a word's row in the table is its index here plus one."""
    neutral: tuple[str, ...]
    """Words that it neither knows nor minds."""
    threshold: float
    """The 5th percentile of the agreement of fresh drawings with their own captions."""


class Critic:
    """The critic, ready to judge; made by `Critic.load`.

    Every picture goes through the network alone, so that its number does not depend on the
    others it came with: the same bytes and prompt give the same float, bit for bit.
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
        """The critic in a folder that holds `config.json` and `model.safetensors`.

        Where looks stand in `looks` beside it, they come along. Raises ModelNotFound when a file
        is missing, unreadable or does not fit.
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
        # Pictures come with their channels last; convolutions that take them so need no copies.
        network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        beside = folder.parent / LOOKS
        looks = AppearanceModel.load(beside) if beside.is_dir() else None
        return cls(network.eval().requires_grad_(False), config, looks)

    @property
    def threshold(self) -> float:
        """The agreement that 95 % of fresh drawings reach with their own captions."""
        return self._config.threshold

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word the critic was taught, lower case, sorted."""
        return self._config.vocabulary

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """The prompt's words that are neither taught nor neutral, in their order."""
        known = {*self._config.vocabulary, *self._config.neutral}
        return tuple(word for word in words(prompt) if word not in known)

    def agreement(self, images: Pixels, prompts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities [n] for straight-alpha RGBA pictures [n, h, w, 4] and their prompts.

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
        """Style, colours, finish, focus and composition of an RGBA picture [h, w, 4].

        Nothing where no looks stand beside the critic.
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
    """The rows of the word table for a prompt; 0 for unknown words, none for neutral ones."""
    rows = {word: index + 1 for index, word in enumerate(vocabulary)}
    return [rows.get(word, 0) for word in words(prompt) if word not in neutral]
