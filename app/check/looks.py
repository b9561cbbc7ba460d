"""Appearance: whether style, colours, finish, focus and composition match the request.

One small network, trained on drawings and the starter's images with injected defects, gives all
five. It knows only that style; the model card has its accuracy.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.environment import use_strict_blas
from app.errors import ModelNotFound
from app.types import Measure, Value
from app.types.request import words

if TYPE_CHECKING:
    from app.check.networks import AppearanceNetwork

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

APPEARANCE_MEASURES = (
    Measure.STYLE, Measure.ON_MODEL, Measure.FINISHED, Measure.CRISP, Measure.COMPOSITION,
)  # fmt: skip
"""The measures that the appearance model gives."""


class AppearanceConfig(Value):
    """The configuration beside the weights: the words for each style and colour, by row."""

    styles: dict[str, tuple[str, ...]]
    colours: dict[str, tuple[str, ...]]


class AppearanceModel:
    """The appearance model, loaded for inference; made by `AppearanceModel.load`.

    Every image goes through the network alone: the same bytes and prompt give the same numbers.
    """

    def __init__(self, network: "AppearanceNetwork", config: AppearanceConfig) -> None:
        self._network = network
        self._styles, self._colours = ({**config.styles}, {**config.colours})

    @classmethod
    def load(cls, folder: Path) -> "AppearanceModel":
        """Loads the model from a folder that holds `config.json` and `model.safetensors`.

        Raises ModelNotFound when a file is missing, unreadable or does not fit.
        """
        use_strict_blas()
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from torch import channels_last

        from app.check.networks import AppearanceNetwork

        try:
            config = AppearanceConfig(**json.loads((folder / CONFIG_FILE).read_text("utf-8")))
            network = AppearanceNetwork(len(config.styles), len(config.colours))
            weights = load_file(folder / WEIGHTS_FILE)
            network.load_state_dict({name: value.float() for name, value in weights.items()})
        except (OSError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
            raise ModelNotFound(
                f"no usable looks in {folder} ({type(error).__name__}: {error}); "
                "train them with `python -m jobs dev train-looks`"
            ) from error
        # Images arrive in channels-last order; convolutions in that memory format need no copies.
        network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        return cls(network.eval().requires_grad_(False), config)

    def measures(self, seen: NDArray[np.float32], prompt: str) -> dict[Measure, float]:
        """Returns five probabilities for a premultiplied image [64, 64, 4] and its prompt.

        Of several styles or colours in a prompt the most likely counts. A prompt without a style
        accepts any style; one without a colour uses the most likely of all colours.
        """
        import torch

        with torch.inference_mode():
            logits = self._network(torch.from_numpy(seen).permute(2, 0, 1)[None])
            style = logits[0].softmax(dim=1)[0].tolist()
            rest = [torch.sigmoid(logit)[0].tolist() for logit in logits[1:]]
        prompt_words = set(words(prompt))
        colours, (finished,), (crisp,), (composed,) = rest
        asked = _named(self._colours, prompt_words) or range(len(colours))
        return {
            Measure.STYLE: max(
                (style[row] for row in _named(self._styles, prompt_words)), default=1.0
            ),
            Measure.ON_MODEL: max(colours[row] for row in asked),
            Measure.FINISHED: finished,
            Measure.CRISP: crisp,
            Measure.COMPOSITION: composed,
        }


def _named(known: Mapping[str, tuple[str, ...]], prompt_words: set[str]) -> list[int]:
    """Returns the rows whose names are among the words."""
    return [row for row, names in enumerate(known.values()) if prompt_words & {*names}]
