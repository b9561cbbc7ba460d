"""All defect classes by name: what each applies to, what it does, and which measures detect it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.check.planes import Pixels
from app.image.png import png_bytes
from app.types import Measure
from app.types.text_layer import TextLayer
from jobs.train.defects import files, pixels, semantic
from jobs.train.defects.sources import GoodImage, Source
from jobs.train.starter.drawings import Label, draw

Rng = np.random.Generator

SEVERITIES = (1, 2, 3)
"""Mild, medium, severe."""


@dataclass(frozen=True, slots=True)
class DefectiveImage:
    """A file with its prompt and text layers; `twin` is the image that it nearly repeats."""

    data: bytes
    prompt: str
    layers: tuple[TextLayer, ...] = ()
    twin: Pixels | None = None


ApplyDefect = Callable[[GoodImage, int, Rng], DefectiveImage]


@dataclass(frozen=True, slots=True)
class DefectClass:
    """One named defect; a `deterministic` one must be detected at every severity."""

    name: str
    apply: ApplyDefect
    measures: tuple[Measure, ...]
    """The measures that should detect it."""
    sources: tuple[Source, ...] = (Source.DRAWN, Source.STARTER)
    deterministic: bool = False
    fits: Callable[[GoodImage], bool] = lambda _: True
    """Returns whether the defect can be seen in a good image."""
    steps: tuple[int, int, int] | None = None
    """Steps by severity, for a class without an edit: the starter stopped early, without guidance.
    """
    reference: bool = True
    """Whether the good image shows what this one should have looked like."""


def unchanged(good: GoodImage) -> DefectiveImage:
    """Returns the good image as a file, for a control."""
    return DefectiveImage(png_bytes(good.pixels, text={}), good.prompt, good.layers)


def classes() -> dict[str, DefectClass]:
    """Returns all classes by name, in a fixed order."""
    every = (
        *_file_defects(), *_alpha_defects(), *_appearance_defects(),
        *_semantic_defects(), *_text_defects(), *_composition_defects()
    )  # fmt: skip
    return {defect_class.name: defect_class for defect_class in every}


def _file_defects() -> list[DefectClass]:
    broken = (
        files.truncated_file, files.corrupt_file, files.wrong_format, files.wrong_mode,
        files.wrong_depth, files.wrong_colour_space,
    )  # fmt: skip
    sized = (files.wrong_size, files.wrong_aspect)
    return [
        *(_file_defect(function, Measure.DECODES) for function in broken),
        *(_file_defect(function, Measure.SIZE_ERROR) for function in sized),
    ]


def _alpha_defects() -> list[DefectClass]:
    visibility = (Measure.COVERAGE, Measure.CONTRAST)
    return [
        _pixel_defect(pixels.empty, *visibility, deterministic=True),
        _pixel_defect(pixels.nan, *visibility, deterministic=True),
        _pixel_defect(pixels.flat, Measure.CONTRAST, deterministic=True),
        _pixel_defect(pixels.opaque_ground, Measure.COVERAGE, Measure.SOFTNESS, deterministic=True),
        _pixel_defect(pixels.ghost, Measure.SOFTNESS, deterministic=True),
        _pixel_defect(pixels.cut_off, Measure.BORDER, deterministic=True),
        _pixel_defect(pixels.specks, Measure.FRAGMENTS, deterministic=True),
        _pixel_defect(pixels.pinholes, Measure.FRAGMENTS, deterministic=True),
        _pixel_defect(pixels.halo, Measure.HALO, Measure.SOFTNESS, deterministic=True),
        _pixel_defect(pixels.alpha_fringe, Measure.FRINGE, deterministic=True),
        _pixel_defect(pixels.holes_filled, Measure.AGREEMENT, fits=_has_openings),
        _pixel_defect(pixels.torn, Measure.AGREEMENT),
    ]


def _appearance_defects() -> list[DefectClass]:
    texture = (Source.TEXTURE,)
    return [
        _pixel_defect(pixels.blur, Measure.SHARPNESS, Measure.CRISP),
        _pixel_defect(pixels.noise, Measure.NOISE),
        _pixel_defect(pixels.colour_blotches, Measure.BLOTCHES),
        DefectClass(
            "few_steps",
            _unchanged,
            (Measure.BLOTCHES, Measure.FINISHED),
            (Source.STARTER,),
            steps=(3, 2, 1),
        ),
        _pixel_defect(pixels.banding, Measure.BANDING, fits=shaded),
        _pixel_defect(pixels.jpeg_blocks, Measure.BLOCKINESS),
        _pixel_defect(pixels.clipping, Measure.CLIPPING),
        _pixel_defect(pixels.washed_out, Measure.AGREEMENT, Measure.ON_MODEL),
        _pixel_defect(
            pixels.palette_drift,
            Measure.AGREEMENT,
            Measure.ON_MODEL,
            Measure.PALETTE_DISTANCE,
            fits=coloured,
        ),
        _pixel_defect(pixels.seam, Measure.SEAM, sources=texture),
    ]


def _semantic_defects() -> list[DefectClass]:
    prompts = (
        ("wrong_object", semantic.other_object, Measure.AGREEMENT),
        ("wrong_colour", semantic.other_colour, Measure.ON_MODEL),
        ("style_mismatch", semantic.other_style, Measure.STYLE),
    )
    return [
        DefectClass("merged", _merged, (Measure.AGREEMENT,)),
        *(
            DefectClass(
                name,
                _with_prompt(other),
                tuple(dict.fromkeys((Measure.AGREEMENT, measure))),
                reference=False,
            )
            for name, other, measure in prompts
        ),
        DefectClass(
            "near_duplicate", _near_duplicate, (Measure.DUPLICATE_DISTANCE,), reference=False
        ),
    ]


def _text_defects() -> list[DefectClass]:
    misspelt, faint = semantic.misspelt, semantic.low_contrast_text
    return [
        _text_defect(misspelt, Measure.TEXT_ERROR),
        _text_defect(faint, Measure.TEXT_CONTRAST, Measure.TEXT_ERROR),
    ]


def _composition_defects() -> list[DefectClass]:
    """Returns the composition classes.

    They come last, because a class's position is part of its seeds: new classes before others would
    change the others' samples.
    """
    return [
        _pixel_defect(pixels.cut_through, Measure.COMPOSITION, Measure.AGREEMENT),
        _pixel_defect(pixels.off_centre, Measure.COMPOSITION),
        _pixel_defect(pixels.too_small, Measure.COMPOSITION),
        _pixel_defect(pixels.too_large, Measure.COMPOSITION, Measure.BORDER),
    ]


def _file_defect(damage: Callable[[Pixels, int, Rng], bytes], measure: Measure) -> DefectClass:
    def apply(good: GoodImage, severity: int, rng: Rng) -> DefectiveImage:
        return DefectiveImage(damage(good.pixels, severity, rng), good.prompt, good.layers)

    return DefectClass(damage.__name__, apply, (measure,), deterministic=True, reference=False)


def _pixel_defect(
    damage: Callable[[Pixels, int, Rng], Pixels],
    *measures: Measure,
    sources: tuple[Source, ...] = (Source.DRAWN, Source.STARTER),
    deterministic: bool = False,
    fits: Callable[[GoodImage], bool] = lambda _: True,
) -> DefectClass:
    def apply(good: GoodImage, severity: int, rng: Rng) -> DefectiveImage:
        return DefectiveImage(png_bytes(damage(good.pixels, severity, rng), text={}), good.prompt)

    return DefectClass(damage.__name__, apply, measures, sources, deterministic, fits)


def _text_defect(
    damage: Callable[[GoodImage, int, Rng], Pixels], *measures: Measure
) -> DefectClass:
    def apply(good: GoodImage, severity: int, rng: Rng) -> DefectiveImage:
        return DefectiveImage(
            png_bytes(damage(good, severity, rng), text={}), good.prompt, good.layers
        )

    return DefectClass(damage.__name__, apply, measures, (Source.POSTER,))


def _with_prompt(other: Callable[[Label, int], str]) -> ApplyDefect:
    def apply(good: GoodImage, severity: int, _: Rng) -> DefectiveImage:
        assert good.label is not None
        return DefectiveImage(png_bytes(good.pixels, text={}), other(good.label, severity))

    return apply


def _unchanged(good: GoodImage, _: int, __: Rng) -> DefectiveImage:
    return unchanged(good)


def _merged(good: GoodImage, severity: int, rng: Rng) -> DefectiveImage:
    assert good.label is not None
    prompt = semantic.other_object(good.label, 2)
    kind = prompt.split()[-1]
    other = draw(Label(kind, good.label.colour, good.label.style), good.seed)
    merged = pixels.merged(good.pixels, severity, rng, other)
    return DefectiveImage(png_bytes(merged, text={}), good.prompt)


def _near_duplicate(good: GoodImage, severity: int, rng: Rng) -> DefectiveImage:
    duplicate = pixels.touched_up(good.pixels, severity, rng)
    return DefectiveImage(png_bytes(duplicate, text={}), good.prompt, twin=good.pixels)


def _has_openings(good: GoodImage) -> bool:
    return bool(pixels.openings(good.pixels).any())


def shaded(good: GoodImage) -> bool:
    """Returns whether the image has shading; on flat fills banding cannot be seen."""
    return good.label is not None and good.label.style == "shaded"


def coloured(good: GoodImage) -> bool:
    """Returns whether the image has a hue; on white and black a turn of the hue cannot be seen."""
    return good.label is not None and good.label.colour not in ("white", "black")
