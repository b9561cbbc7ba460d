"""The good images that defects are applied to: icons, textures, posters and starter images."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import cv2
import numpy as np

from app.backends import Backend
from app.check.planes import Pixels
from app.engine.results import FailedRequest
from app.fleet.versions import resolve
from app.generate.renderer import load_engine
from app.models.text.fonts import Fonts
from app.models.typography import typeset
from app.registry.references import available_models
from app.settings import Settings
from app.types import GenerationRequest, Kind, TextLayer
from app.types.base import Rect
from jobs.train.starter.captions import article, plain
from jobs.train.starter.drawings import COLOURS, Label, all_labels, draw

TEXTURE_SIDE, POSTER_SIDE = 128, 256
STEPS, GUIDANCE = 12, 2.0
_TEXTS = (
    "Summer sale", "GRAND OPENING", "Save 25% today", "Order 48-1093", "Good evening",
    "Game over", "Red Potion", "Level 12",
)  # fmt: skip
_BOX = Rect(x=16, y=12, width=224, height=72)
_INK = "#1b1f24"
_PAPER = (238, 232, 214, 255)
_COPRIME = 7
"""The step between the labels of successive seeds: neighbours differ in kind, colour and style."""


class WorldPart(StrEnum):
    """The part of the seeds that a world uses.

    The parts share no seed with each other or with the starter's training.
    """

    EVALUATION = "evaluation"
    TRAINING = "training"


_FIRST = {WorldPart.EVALUATION: 60_000_000, WorldPart.TRAINING: 70_000_000}
"""The first seed of each part. The starter's own sets end below 50 million (`starter.data`)."""
_WORLD = 100_000
"""The number of seeds of one world; a part has room for a hundred worlds."""


class Source(StrEnum):
    """Where a good image comes from."""

    DRAWN = "drawn"
    STARTER = "starter"
    TEXTURE = "texture"
    POSTER = "poster"


@dataclass(frozen=True, slots=True)
class GoodImage:
    """A good image with its prompt; `label` is set where it shows a drawn object."""

    source: Source
    kind: Kind
    seed: int
    prompt: str
    pixels: Pixels
    label: Label | None = None
    layers: tuple[TextLayer, ...] = ()


def seeds(part: WorldPart, world: int) -> range:
    """Returns the seeds of one world. Raises ValueError unless `world` is from 0 to 99."""
    if not 0 <= world < 100:
        raise ValueError(f"world {world} does not exist; give a seed from 0 to 99")
    first = _FIRST[part] + world * _WORLD
    return range(first, first + _WORLD)


def label_of(seed: int) -> Label:
    """Returns the label that a seed draws."""
    labels = all_labels()
    return labels[seed * _COPRIME % len(labels)]


def phrase(label: Label) -> str:
    """Returns the prompt for a label, with its style: "a flat red sword"."""
    return f"a {label.style} {label.colour} {label.kind}"


def drawn(seed: int) -> GoodImage:
    """Returns an icon by the procedural renderer, 64 x 64. The same seed gives the same bytes."""
    label = label_of(seed)
    return GoodImage(Source.DRAWN, Kind.ICON, seed, phrase(label), draw(label, seed), label)


def texture(seed: int) -> GoodImage:
    """Returns a texture that tiles without a seam: smooth periodic noise in two tones."""
    rng = np.random.default_rng([seed, 1])
    spectrum = np.fft.fft2(rng.normal(size=(TEXTURE_SIDE, TEXTURE_SIDE)))
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(TEXTURE_SIDE)] * 2)) * TEXTURE_SIDE
    height = np.real(np.fft.ifft2(spectrum / (1 + (frequency / rng.uniform(3, 9)) ** 2)))
    share = np.clip(height / height.std() / 5 + 0.5, 0, 1)[..., None]
    name = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    light = np.array(COLOURS[name], dtype=float)
    colour = light * 0.45 * (1 - share) + light * share
    opaque = np.full((TEXTURE_SIDE, TEXTURE_SIDE, 1), 255.0)
    pixels = np.rint(np.concatenate([colour, opaque], axis=2)).astype(np.uint8)
    return GoodImage(
        Source.TEXTURE, Kind.TEXTURE, seed, f"{article(name)} {name} stone wall", pixels
    )


def poster(seed: int) -> GoodImage:
    """Returns a drawn icon on paper with one line of text."""
    label = label_of(seed)
    text = _TEXTS[seed % len(_TEXTS)]
    layer = TextLayer(text=text, box=_BOX, colour=_INK)
    pixels = typeset(ground(seed), (layer,), Fonts())[0]
    return GoodImage(Source.POSTER, Kind.POSTER, seed, plain(label), pixels, label, (layer,))


def ground(seed: int) -> Pixels:
    """Returns the poster without its text, [256, 256, 4]."""
    page = np.full((POSTER_SIDE, POSTER_SIDE, 4), _PAPER, np.uint8)
    large = cv2.resize(draw(label_of(seed), seed), (160, 160), interpolation=cv2.INTER_CUBIC)
    share = large[..., 3:].astype(np.float32) / 255
    area = page[92:252, 48:208]
    area[..., :3] = np.rint(large[..., :3] * share + area[..., :3] * (1 - share))
    return page


class StarterRenderer:
    """The starter as a renderer, loaded at the first call.

    Loading takes a few seconds; then an image of 12 steps takes 0.1 s.
    """

    @cached_property
    def _engine(self) -> Backend:
        settings = Settings()
        return load_engine(
            resolve("starter", available_models(settings)), settings, mode="reproducible"
        )

    def render(
        self, seeds: Sequence[int], *, steps: int = STEPS, guidance: float = GUIDANCE
    ) -> list[GoodImage]:
        """Returns one image for each seed, in order, with the prompt of the seed's label.

        Raises the error of a request that failed.
        """
        requests = [_generation_request(seed, steps, guidance) for seed in seeds]
        rendered: dict[str, Pixels] = {}
        for outcome in self._engine.generate(requests):
            if isinstance(outcome, FailedRequest):
                raise outcome.error
            rendered[outcome.request.id] = outcome.pixels
        return [
            GoodImage(
                Source.STARTER,
                Kind.ICON,
                seed,
                request.prompt,
                rendered[request.id],
                label_of(seed),
            )
            for seed, request in zip(seeds, requests, strict=True)
        ]


def _generation_request(seed: int, steps: int, guidance: float) -> GenerationRequest:
    return GenerationRequest(
        prompt=phrase(label_of(seed)), width=64, height=64, num_inference_steps=steps,
        guidance_scale=guidance, seed=seed,
    )  # fmt: skip
