"""The caption grammar: the sentences that describe a label, and every word that they use."""

from collections.abc import Iterable

import numpy as np

from app.types.request import words
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label

SYNONYMS: dict[str, tuple[str, ...]] = {
    "sword": ("blade",),
    "potion": ("flask",),
    "gem": ("jewel",),
    "axe": ("hatchet",),
    "chest": ("treasure chest",),
    "book": ("spellbook",),
    "red": ("crimson",),
    "yellow": ("golden",),
    "purple": ("violet",),
    "cartoon": ("outlined",),
    "shaded": ("glossy",),
    "flat": ("simple",),
}
TEMPLATES: tuple[tuple[str, float], ...] = (
    ("a {style} {colour} {kind}", 6),
    ("{style} {colour} {kind}", 2),
    ("a {style} {colour} {kind} icon", 2),
    ("an icon of a {style} {colour} {kind}", 1),
    ("a {colour} {kind}, {style} style", 2),
    ("a {colour} {kind}, game icon, {style} style", 1),
    ("a {style} {colour} {kind}, game icon", 1),
    ("a {style} {colour} {kind}, game item", 0.5),
    ("a {style} {colour} {kind} sprite", 0.5),
    ("a {colour} {kind} in {style} style", 1),
    ("a {style} {colour} {kind} on a transparent background", 1),
    ("game icon of a {style} {colour} {kind}, transparent background", 1),
)
NEUTRAL = ("and", "at", "by", "for", "from", "its", "single", "the", "to", "with")
"""Words outside the grammar that change nothing about what an image should show."""
_SYNONYM_SHARE = 0.1
_NO_STYLE_SHARE = 0.4
_NO_COLOUR_SHARE = 0.06


def vocabulary() -> tuple[str, ...]:
    """Returns every word of the grammar, sorted."""
    filled = [template.format(style="", colour="", kind="") for template, _ in TEMPLATES]
    named = [*KINDS, *COLOURS, *STYLES, *(word for group in SYNONYMS.values() for word in group)]
    return tuple(sorted({word for text in [*filled, *named, "an"] for word in words(text)}))


def plain(label: Label) -> str:
    """Returns the shortest caption of a label, without its style: "a red sword"."""
    return f"{article(label.colour)} {label.colour} {label.kind}"


def caption(label: Label, rng: np.random.Generator, *, complete: bool = False) -> str:
    """Returns one random caption from the grammar.

    The style is sometimes left out, and the colour too unless `complete`.
    """
    weights = np.array([weight for _, weight in TEMPLATES])
    template = TEMPLATES[rng.choice(len(TEMPLATES), p=weights / weights.sum())][0]
    style = "" if rng.random() < _NO_STYLE_SHARE else _synonym(label.style, rng)
    without_colour = rng.random() < _NO_COLOUR_SHARE and not complete
    colour = "" if without_colour else _synonym(label.colour, rng)
    if not style:
        template = template.replace(", {style} style", "").replace(" in {style} style", "")
    text = template.format(style=style, colour=colour, kind=_synonym(label.kind, rng))
    return _tidy(text)


def another(names: Iterable[str], name: str, rng: np.random.Generator) -> str:
    """Returns one of the names at random, but not `name`."""
    others = [other for other in names if other != name]
    return others[rng.integers(len(others))]


def _synonym(word: str, rng: np.random.Generator) -> str:
    others = SYNONYMS.get(word, ())
    return str(rng.choice(others)) if others and rng.random() < _SYNONYM_SHARE else word


def article(word: str) -> str:
    """Returns "an" before a vowel, else "a"."""
    return "an" if word[0] in "aeiou" else "a"


def _tidy(text: str) -> str:
    """Returns the text with single spaces, and "an" before a vowel."""
    parts = text.split()
    following = [*parts[1:], ""]
    return " ".join(
        article(after) if word in ("a", "an") and after else word
        for word, after in zip(parts, following, strict=True)
    )
