"""Every class of defect by its name: what it takes, how it spoils, and who ought to speak."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.check.planes import Pixels
from app.image.png import png_bytes
from app.types import Measure
from app.types.text_layer import TextLayer
from jobs.train.defects import files
from jobs.train.defects import pixels as looks
from jobs.train.defects import semantic as meanings
from jobs.train.defects.sources import Good, Source
from jobs.train.starter.drawings import Label, draw

Rng = np.random.Generator

SEVERITIES = (1, 2, 3)
"""Mild, medium, grave."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A file, what was asked for when it came, and the picture that it nearly repeats, if any."""

    data: bytes
    prompt: str
    layers: tuple[TextLayer, ...] = ()
    twin: Pixels | None = None


Inflict = Callable[[Good, int, Rng], Spoilt]


@dataclass(frozen=True, slots=True)
class DefectClass:
    """One named defect. `deterministic` ones must be found always, whatever the severity."""

    name: str
    inflict: Inflict
    ought: tuple[Measure, ...]
    sources: tuple[Source, ...] = (Source.DRAWN, Source.STARTER)
    deterministic: bool = False
    fits: Callable[[Good], bool] = lambda _: True
    """Which good pictures it can be seen in."""
    steps: tuple[int, int, int] | None = None
    """By severity: it is no spoiling, but the starter stopped after so few steps, unguided."""
    reference: bool = True
    """Whether the good picture is what this one should have looked like."""


def whole(good: Good) -> Spoilt:
    """The untouched control."""
    return Spoilt(png_bytes(good.pixels, text={}), good.prompt, good.layers)


def classes() -> dict[str, DefectClass]:
    """All classes by name, in a fixed order."""
    every = (
        *_of_files(), *_of_alpha(), *_of_looks(), *_of_meaning(), *_of_texts(), *_of_composition()
    )  # fmt: skip
    return {one.name: one for one in every}


def _of_files() -> list[DefectClass]:
    broken = (
        files.truncated_file, files.corrupt_file, files.wrong_format, files.wrong_mode,
        files.wrong_depth, files.wrong_colour_space,
    )  # fmt: skip
    sized = (files.wrong_size, files.wrong_aspect)
    return [
        *(_file(spoil, Measure.DECODES) for spoil in broken),
        *(_file(spoil, Measure.SIZE_ERROR) for spoil in sized),
    ]


def _of_alpha() -> list[DefectClass]:
    gone = (Measure.COVERAGE, Measure.CONTRAST)
    return [
        _look(looks.empty, *gone, deterministic=True),
        _look(looks.nan, *gone, deterministic=True),
        _look(looks.flat, Measure.CONTRAST, deterministic=True),
        _look(looks.opaque_ground, Measure.COVERAGE, Measure.SOFTNESS, deterministic=True),
        _look(looks.ghost, Measure.SOFTNESS, deterministic=True),
        _look(looks.cut_off, Measure.BORDER, deterministic=True),
        _look(looks.specks, Measure.FRAGMENTS, deterministic=True),
        _look(looks.pinholes, Measure.FRAGMENTS, deterministic=True),
        _look(looks.halo, Measure.HALO, Measure.SOFTNESS, deterministic=True),
        _look(looks.alpha_fringe, Measure.FRINGE, deterministic=True),
        _look(looks.holes_filled, Measure.AGREEMENT, fits=_open),
        _look(looks.torn, Measure.AGREEMENT),
    ]


def _of_looks() -> list[DefectClass]:
    texture = (Source.TEXTURE,)
    return [
        _look(looks.blur, Measure.SHARPNESS, Measure.CRISP),
        _look(looks.noise, Measure.NOISE),
        _look(looks.colour_blotches, Measure.BLOTCHES),
        DefectClass(
            "few_steps",
            _as_it_is,
            (Measure.BLOTCHES, Measure.FINISHED),
            (Source.STARTER,),
            steps=(3, 2, 1),
        ),
        _look(looks.banding, Measure.BANDING, fits=shaded),
        _look(looks.jpeg_blocks, Measure.BLOCKINESS),
        _look(looks.clipping, Measure.CLIPPING),
        _look(looks.washed_out, Measure.AGREEMENT, Measure.ON_MODEL),
        _look(
            looks.palette_drift,
            Measure.AGREEMENT,
            Measure.ON_MODEL,
            Measure.PALETTE_DISTANCE,
            fits=coloured,
        ),
        _look(looks.seam, Measure.SEAM, sources=texture),
    ]


def _of_meaning() -> list[DefectClass]:
    said = (
        ("wrong_object", meanings.other_object, Measure.AGREEMENT),
        ("wrong_colour", meanings.other_colour, Measure.ON_MODEL),
        ("style_mismatch", meanings.other_style, Measure.STYLE),
    )
    return [
        DefectClass("merged", _merged, (Measure.AGREEMENT,)),
        *(
            DefectClass(
                name,
                _asked(other),
                tuple(dict.fromkeys((Measure.AGREEMENT, ought))),
                reference=False,
            )
            for name, other, ought in said
        ),
        DefectClass("near_duplicate", _again, (Measure.DUPLICATE_DISTANCE,), reference=False),
    ]


def _of_texts() -> list[DefectClass]:
    misspelt, faint = meanings.misspelt, meanings.low_contrast_text
    return [
        _text(misspelt, Measure.TEXT_ERROR),
        _text(faint, Measure.TEXT_CONTRAST, Measure.TEXT_ERROR),
    ]


def _of_composition() -> list[DefectClass]:
    """Last, because a class's place is part of its seeds."""
    return [
        _look(looks.cut_through, Measure.COMPOSITION, Measure.AGREEMENT),
        _look(looks.off_centre, Measure.COMPOSITION),
        _look(looks.too_small, Measure.COMPOSITION),
        _look(looks.too_large, Measure.COMPOSITION, Measure.BORDER),
    ]


def _file(spoil: Callable[[Pixels, int, Rng], bytes], ought: Measure) -> DefectClass:
    def inflict(good: Good, severity: int, rng: Rng) -> Spoilt:
        return Spoilt(spoil(good.pixels, severity, rng), good.prompt, good.layers)

    return DefectClass(spoil.__name__, inflict, (ought,), deterministic=True, reference=False)


def _look(
    spoil: Callable[[Pixels, int, Rng], Pixels],
    *ought: Measure,
    sources: tuple[Source, ...] = (Source.DRAWN, Source.STARTER),
    deterministic: bool = False,
    fits: Callable[[Good], bool] = lambda _: True,
) -> DefectClass:
    def inflict(good: Good, severity: int, rng: Rng) -> Spoilt:
        return Spoilt(png_bytes(spoil(good.pixels, severity, rng), text={}), good.prompt)

    return DefectClass(spoil.__name__, inflict, ought, sources, deterministic, fits)


def _text(spoil: Callable[[Good, int, Rng], Pixels], *ought: Measure) -> DefectClass:
    def inflict(good: Good, severity: int, rng: Rng) -> Spoilt:
        return Spoilt(png_bytes(spoil(good, severity, rng), text={}), good.prompt, good.layers)

    return DefectClass(spoil.__name__, inflict, ought, (Source.POSTER,))


def _asked(other: Callable[[Label, int], str]) -> Inflict:
    def inflict(good: Good, severity: int, _: Rng) -> Spoilt:
        assert good.label is not None
        return Spoilt(png_bytes(good.pixels, text={}), other(good.label, severity))

    return inflict


def _as_it_is(good: Good, _: int, __: Rng) -> Spoilt:
    return whole(good)


def _merged(good: Good, severity: int, rng: Rng) -> Spoilt:
    assert good.label is not None
    prompt = meanings.other_object(good.label, 2)
    kind = prompt.split()[-1]
    other = draw(Label(kind, good.label.colour, good.label.style), good.seed)
    spoilt = looks.merged(good.pixels, severity, rng, other)
    return Spoilt(png_bytes(spoilt, text={}), good.prompt)


def _again(good: Good, severity: int, rng: Rng) -> Spoilt:
    again = looks.touched_up(good.pixels, severity, rng)
    return Spoilt(png_bytes(again, text={}), good.prompt, twin=good.pixels)


def _open(good: Good) -> bool:
    return bool(looks.openings(good.pixels).any())


def shaded(good: Good) -> bool:
    """Bands show where there is shading; flat fills have only their own steps."""
    return good.label is not None and good.label.style == "shaded"


def coloured(good: Good) -> bool:
    return good.label is not None and good.label.colour not in ("white", "black")
