"""Whether a font has the glyphs of a text, asked before anything is drawn."""

import unicodedata

from app.errors import InvalidRequest
from app.models.text.fonts import Font

_JOINERS_AND_MARKS = "Cf"
"""Format characters steer the shaper and have no glyph of their own."""


def require_glyphs(text: str, font: Font) -> None:
    """Raise InvalidRequest that names the first character the font cannot set.

    A character counts as covered when the font has it, or has all it decomposes into.
    """
    composed = unicodedata.normalize("NFC", text)
    for character in composed.replace("\n", ""):
        if not _covered(character, font):
            label = unicodedata.name(character, "a control character")
            raise InvalidRequest(
                f"font {font.name!r} has no glyph for {character!r} "
                f"(U+{ord(character):04X} {label}); name a font that has it"
            )


def _covered(character: str, font: Font) -> bool:
    if unicodedata.category(character) == _JOINERS_AND_MARKS:
        return True
    parts = unicodedata.normalize("NFD", character)
    whole = ord(character) in font.characters
    return whole or (len(parts) > 1 and all(ord(part) in font.characters for part in parts))
