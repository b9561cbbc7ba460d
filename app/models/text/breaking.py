"""Line breaks at Unicode's break opportunities (UAX 14): as few and as even lines as possible."""

from dataclasses import dataclass

from uniseg.linebreak import line_break_units

from app.models.text.fonts import Font
from app.models.text.shaping import FINE_PX, Face, direction_of

_HALVINGS = 12
"""Evening out lines to 1/4096 of the width is finer than a pixel."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of text that no line break may split; lengths are shares of the font size.

    `advance` includes the spaces after it, which vanish at the end of a line.
    """

    text: str
    advance: float
    bare: float
    bearing_before: float
    bearing_after: float


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One of the text's own lines, to be wrapped; it keeps its direction on every line."""

    units: tuple[Unit, ...]
    direction: str

    def wrap(self, width: float) -> tuple[str, ...] | None:
        """Returns the fewest lines no wider than `width` font sizes, as even as possible.

        None when a single unit is too wide. An empty paragraph is one empty line.
        """
        fewest = self._greedy(width)
        if fewest is None:
            return None
        narrow, wide, best = 0.0, width, fewest
        for _ in range(_HALVINGS if len(fewest) > 1 else 0):
            middle = (narrow + wide) / 2
            lines = self._greedy(middle)
            if lines is not None and len(lines) == len(fewest):
                wide, best = middle, lines
            else:
                narrow = middle
        return tuple("".join(unit.text for unit in line).strip() for line in best)

    def _greedy(self, width: float) -> list[list[Unit]] | None:
        lines: list[list[Unit]] = [[]]
        pen = 0.0
        for unit in self.units:
            if lines[-1] and pen + unit.bare - _bearings(lines[-1][0], unit) > width:
                lines.append([])
                pen = 0.0
            if unit.bare - _bearings(unit, unit) > width:
                return None
            lines[-1].append(unit)
            pen += unit.advance
        return lines


def paragraphs_of(text: str, font: Font, direction: str) -> tuple[Paragraph, ...]:
    """Returns the text's own lines, measured once at a fine size: lengths scale with the font."""
    face = Face(font, FINE_PX)
    return tuple(_paragraph(line.strip(), face, direction) for line in text.split("\n"))


def _paragraph(line: str, face: Face, asked: str) -> Paragraph:
    direction = direction_of(line, asked)
    units = tuple(_measured(text, face, direction) for text in line_break_units(line))
    return Paragraph(units, direction)


def _measured(text: str, face: Face, direction: str) -> Unit:
    bare_text = text.rstrip()
    bare, ink = face.advance(bare_text, direction), face.ink(bare_text, direction)
    left, right = ink.left, bare - ink.left - ink.width
    before, after = (left, right) if direction == "ltr" else (right, left)
    em = face.size_px * face.scale
    return Unit(
        text=text,
        advance=face.advance(text, direction) / em,
        bare=bare / em,
        bearing_before=before / em,
        bearing_after=after / em,
    )


def _bearings(first: Unit, last: Unit) -> float:
    """Returns the blank space at a line's two ends, which holds no ink."""
    return first.bearing_before + last.bearing_after
