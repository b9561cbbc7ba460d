"""Text drawn by a model that is asked for it, against text laid out and set in TrueType.

The starter gets the strings in the prompt, the typography role as a layer in the area that it keeps
for text; OCR reads the result. What OCR misreads in plain print too, black on a white page, is an
error of OCR alone and is counted apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from app.backends import Backend
from app.check.legibility import cer, read_text
from app.check.planes import Pixels
from app.cli.output import Say, make_console
from app.cli.tables import escape
from app.engine.results import FailedRequest
from app.fleet.versions import resolve
from app.generate.renderer import load_engine
from app.image.png import png_bytes
from app.models.text.fonts import Fonts
from app.models.typography import typeset
from app.registry.references import available_models
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion, TextLayer, Value
from app.types.text_layer import with_boxes
from jobs.bench.harness import Benchmark, Goal

DRAFTED, SET = "drafted", "set"
SIDE, MARGIN = 256, 8
TEXTS = Path(__file__).parents[2] / "prompts" / "texts.txt"
GROUNDS = (
    "a flat blue shield", "a cartoon red potion", "a shaded green gem", "a flat yellow star",
    "a shaded purple mushroom",
)  # fmt: skip
"""The prompts below the text that is set: the colour behind it differs, by design."""


class Misread(Value):
    """A text that was not read as it was asked for."""

    text: str
    read: str
    error_rate: float
    readers: bool
    """Whether the reader misreads it in plain print too."""
    picture: str = ""
    """The file, where images are kept."""


class LegibilityFigures(Value):
    """What was read from the images of one method."""

    way: str
    texts: int
    exact: float
    """The share read letter for letter, 0 to 1; line breaks do not count."""
    error_rate: float
    """The mean share of the characters that differ; above 1 where more was read than asked for."""
    misses: tuple[Misread, ...]

    @property
    def own_misses(self) -> tuple[Misread, ...]:
        """Returns the misses that are not errors of the reader."""
        return tuple(miss for miss in self.misses if not miss.readers)


class TypographyFigures(Value):
    """The figures of both methods."""

    ways: tuple[LegibilityFigures, ...]

    def of(self, way: str) -> LegibilityFigures:
        """Returns the figures of one method."""
        return next(result for result in self.ways if result.way == way)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many texts are read, and the folder for pictures of those that are misread."""

    count: int
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class _TextRenderer:
    """A model and what renders it."""

    model: ModelVersion
    backend: Backend

    def render(self, prompt: str, side: int, seed: int, layers: tuple[TextLayer, ...]) -> Pixels:
        """Returns the image [side, side, 4]; raises what rendering raises."""
        request = GenerationRequest(
            prompt=prompt, width=side, height=side, seed=seed, text_layers=layers,
            num_inference_steps=self.model.num_inference_steps,
            guidance_scale=self.model.guidance_scale,
        )  # fmt: skip
        (outcome,) = self.backend.generate([request])
        if isinstance(outcome, FailedRequest):
            raise outcome.error
        return outcome.pixels


def texts() -> list[str]:
    """Returns the strings, a hundred of them: words, prices, hours, accents and signs."""
    return TEXTS.read_text("utf-8").splitlines()


def bench_typography(
    wanted: Sequence[str], say: Say, *, keep: Path | None = None
) -> TypographyFigures:
    """Renders and reads every text both ways, some 3 s each; `keep` is a folder for all misses."""
    starter, typography = (_text_renderer(name) for name in ("starter", "typography"))

    def drafted(text: str, seed: int) -> Pixels:
        small = starter.render(f'"{text}"', 64, seed, ())
        return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)

    def laid_out(text: str, seed: int) -> Pixels:
        # Not an outline: it closes the spaces between words, and readers run them together.
        layer = TextLayer(text=text, colour="#ffffff", plate="auto")
        layers = with_boxes((layer,), SIDE, SIDE)
        return place_of(typography.render(GROUNDS[seed % len(GROUNDS)], SIDE, seed, layers), layers)

    ways = (DRAFTED, drafted), (SET, laid_out)
    return TypographyFigures(ways=tuple(_read(way, draw, wanted, say, keep) for way, draw in ways))


def place_of(pixels: Pixels, layers: tuple[TextLayer, ...]) -> Pixels:
    """Returns the part of the image with the one layer's text, with a margin."""
    (layer,) = layers
    assert layer.box is not None
    top, left = max(layer.box.y - MARGIN, 0), max(layer.box.x - MARGIN, 0)
    return pixels[
        top : layer.box.y + layer.box.height + MARGIN, left : layer.box.x + layer.box.width + MARGIN
    ]


def plain_print(text: str) -> Pixels:
    """Returns the text in plain print: black on a white page."""
    page = np.full((SIDE, 2 * SIDE, 4), 255, np.uint8)
    return typeset(page, (TextLayer(text=text),), Fonts())[0]


def _text_renderer(name: str) -> _TextRenderer:
    settings = Settings()
    model = resolve(name, available_models(settings))
    return _TextRenderer(model, load_engine(model, settings, mode="reproducible"))


def _read(
    way: str,
    draw: Callable[[str, int], Pixels],
    wanted: Sequence[str],
    say: Say,
    keep: Path | None,
) -> LegibilityFigures:
    say(f"{len(wanted)} texts {way} ...")
    rates, misses = [], list[Misread]()
    for seed, text in enumerate(wanted):
        pixels = draw(text, seed)
        read = read_text(pixels)
        rates.append(cer(text, read))
        if rates[-1]:
            picture = _save_picture(pixels, keep, f"{way}-{seed}.png")
            readers = cer(text, read_text(plain_print(text))) > 0
            misses.append(
                Misread(
                    text=text, read=read, error_rate=rates[-1], readers=readers, picture=picture
                )
            )
    exact = 1 - len(misses) / len(wanted)
    return LegibilityFigures(
        way=way, texts=len(wanted), exact=exact, error_rate=fmean(rates), misses=tuple(misses)
    )


def _save_picture(pixels: Pixels, folder: Path | None, name: str) -> str:
    if folder is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(png_bytes(pixels, text={}))
    return str(folder / name)


def show_typography_figures(figures: TypographyFigures) -> None:
    """Prints a line for each method; then each miss of the text that is set."""
    out = make_console()
    for result in figures.ways:
        out.print(
            f"{result.way}: {result.exact:.0%} of {result.texts} texts read exactly, "
            f"{result.error_rate:.1%} of the characters wrong"
        )
    for miss in figures.of(SET).misses:
        where = f" ({miss.picture})" if miss.picture else ""
        why = ", and in plain print too it is not read as it is" if miss.readers else ""
        out.print(escape(f"  {miss.text!r} was read {miss.read!r}{where}{why}"), soft_wrap=True)


BENCHMARK = Benchmark(
    full=Extent(count=100),
    quick=Extent(count=3),
    measure=lambda extent, say: bench_typography(texts()[: extent.count], say, keep=extent.out),
    show=show_typography_figures,
    goals=lambda figures: [
        Goal("set text is read where plain print is", not figures.of(SET).own_misses, required=True)
    ],
)
