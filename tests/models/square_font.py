"""A font of squares, made on the spot: scripts whose real fonts are too large to keep here."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

EM = 1000


def write_square_font(file: Path, characters: str) -> None:
    """Write a TrueType font in which each character is a square of 0.8 em on an em's advance."""
    names = {character: f"u{ord(character):04X}" for character in characters}
    glyphs = [".notdef", *names.values()]
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    builder.setupGlyf({glyph: _square() for glyph in glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (EM, 100)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupOS2(sxHeight=600, sCapHeight=800, usWeightClass=400)
    builder.setupPost()
    builder.save(file)


def _square() -> object:
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    pen.lineTo((100, 800))
    pen.lineTo((900, 800))
    pen.lineTo((900, 0))
    pen.closePath()
    return pen.glyph()
