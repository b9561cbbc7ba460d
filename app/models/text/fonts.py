"""Fonts by name: the bundled ones and those of one folder; a name is never used as a path."""

import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont
from PIL import ImageFont

from app.digest import digest_bytes
from app.errors import InvalidRequest

BUNDLED = Path(__file__).parent.parent / "fonts"
DEFAULT_FONT = "Inter-SemiBold"
SUFFIXES = (".otf", ".ttf")
MAX_BYTES = 32 * 2**20
"""The largest CJK fonts stay below this."""
_X_HEIGHT, _CAP_HEIGHT = 0.5, 0.7
"""Typical values for fonts that lack these fields, between those of Times and Helvetica."""


@dataclass(frozen=True, slots=True)
class Font:
    """One font file, read; heights are shares of the font size."""

    name: str
    data: bytes
    digest: str
    characters: frozenset[int]
    x_height: float
    cap_height: float
    descent: float
    weight: int


class Fonts:
    """The available fonts: the bundled ones, and the `.otf` and `.ttf` files of `folder` by stem.

    Files are listed once, at construction, and read at first use. A name that exists in both places
    is refused when used, because the choice would decide the pixels.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._listing: dict[str, list[Path]] = {}
        self._read: dict[str, Font] = {}
        for file in _font_files(BUNDLED) + (_font_files(folder) if folder else []):
            self._listing.setdefault(file.stem, []).append(file)

    @property
    def names(self) -> tuple[str, ...]:
        """Returns every available font name, sorted."""
        return tuple(sorted(self._listing))

    def find(self, name: str) -> Font:
        """Returns the font of this name; the empty name is the default font.

        Raises InvalidRequest for an unknown or duplicate name and for a file that is not a font.
        """
        name = name or DEFAULT_FONT
        if name not in self._read:
            self._read[name] = _read(name, self._file(name))
        return self._read[name]

    def _file(self, name: str) -> Path:
        files = self._listing.get(name, [])
        if len(files) > 1:
            places = " and ".join(str(file) for file in files)
            raise InvalidRequest(f"font {name!r} exists twice, as {places}; rename the second")
        if not files:
            near = get_close_matches(name, self.names, n=3, cutoff=0.5) or list(self.names)
            raise InvalidRequest(f"no font is named {name!r}; the nearest are {', '.join(near)}")
        return files[0]


def _font_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(folder.iterdir())
    return [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]


def _read(name: str, file: Path) -> Font:
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise InvalidRequest(
            f"font {name!r} has {size} bytes, more than {MAX_BYTES}; use a subset of it"
        )
    data = file.read_bytes()
    try:
        return _parsed(name, data)
    except Exception as exc:  # fontTools raises whatever a broken table makes Python raise
        raise InvalidRequest(
            f"font {name!r} cannot be read ({str(exc) or type(exc).__name__}); "
            f"replace {file.name} with an intact font"
        ) from exc


def _parsed(name: str, data: bytes) -> Font:
    ImageFont.truetype(BytesIO(data))  # the shaper must be able to open it as well
    tables = TTFont(BytesIO(data), lazy=True)
    if tables.flavor:
        raise ValueError(f"it is compressed as {tables.flavor}")
    if any(entry.offset + entry.length > len(data) for entry in tables.reader.tables.values()):
        raise ValueError("it is truncated")
    style, em = tables["OS/2"], tables["head"].unitsPerEm
    return Font(
        name=name,
        data=data,
        digest=digest_bytes(data),
        characters=frozenset(tables.getBestCmap()),
        x_height=_share(style, "sxHeight", em) or _X_HEIGHT,
        cap_height=_share(style, "sCapHeight", em) or _CAP_HEIGHT,
        descent=-tables["hhea"].descent / em,
        weight=style.usWeightClass,
    )


def _share(style: Any, field: str, em: int) -> float:
    """Returns a field as a share of the em; missing (old fonts) and negative values are 0."""
    return float(max(0, getattr(style, field, 0)) / em)


_JOINERS_AND_MARKS = "Cf"
"""Format characters control the shaper and have no glyph of their own."""


def require_glyphs(text: str, font: Font) -> None:
    """Raises InvalidRequest that names the first character the font cannot set.

    A character counts as covered when the font has it, or has all parts of its decomposition.
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
