"""Defects of meaning: a prompt that the image does not match, or a text with other letters."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from app.check.planes import Pixels
from app.models.text.fonts import Fonts
from app.models.typography import typeset
from jobs.train.defects.sources import GoodImage, ground, phrase
from jobs.train.starter.drawings import COLOURS, KINDS, Label, draw

Rng = np.random.Generator


def other_object(label: Label, severity: int) -> str:
    """Returns a prompt for another object in the same colour.

    By severity its outline is the most similar one, one of middling similarity, or the least
    similar.
    """
    alike = sorted((k for k in KINDS if k != label.kind), key=lambda k: -_overlap(label.kind, k))
    return phrase(replace(label, kind=_pick(alike, severity)))


def other_colour(label: Label, severity: int) -> str:
    """Returns a prompt for the same object in another colour.

    By severity: the nearest colour, a middling one, or the farthest.
    """
    others = [name for name in COLOURS if name != label.colour]
    near = sorted(others, key=lambda name: float(np.linalg.norm(_lab(name) - _lab(label.colour))))
    return phrase(replace(label, colour=_pick(near, severity)))


def other_style(label: Label, severity: int) -> str:
    """Returns a prompt for another style.

    Flat instead of shaded, or the reverse, is mild; a missing or additional cartoon outline is
    severe.
    """
    mild, grave = ("flat", "shaded"), "cartoon"
    if label.style == grave:
        return phrase(replace(label, style=mild[severity % 2]))
    other = mild[1 - mild.index(label.style)]
    return phrase(replace(label, style=other if severity == 1 else grave))


def misspelt(good: GoodImage, severity: int, rng: Rng) -> Pixels:
    """Returns the poster with a spelling error.

    By severity: two neighbouring letters swapped, one letter replaced, or every second letter
    replaced.
    """
    (layer,) = good.layers
    wrong = _misspelt(layer.text, severity, rng)
    return typeset(ground(good.seed), (layer.replace(text=wrong),), Fonts())[0]


def low_contrast_text(good: GoodImage, severity: int, _: Rng) -> Pixels:
    """Returns the poster with text that hardly differs from the paper."""
    paper = ground(good.seed).astype(np.float32)
    share = (0.2, 0.1, 0.04)[severity - 1]
    return np.rint(paper + (good.pixels - paper) * share).astype(np.uint8)


def _misspelt(text: str, severity: int, rng: Rng) -> str:
    letters = list(text)
    places = [i for i, letter in enumerate(letters) if letter.isalpha()]
    if severity == 1:
        pairs = [i for i in places if i + 1 in places and letters[i] != letters[i + 1]]
        at = pairs[int(rng.integers(len(pairs)))]
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
        return "".join(letters)
    many = places if severity == 3 else [places[int(rng.integers(len(places)))]]
    for at in many[:: 2 if severity == 3 else 1]:
        others = [letter for letter in "aeknorstx" if letter != letters[at].lower()]
        letter = others[int(rng.integers(len(others)))]
        letters[at] = letter.upper() if letters[at].isupper() else letter
    return "".join(letters)


def _pick(ordered: list[str], severity: int) -> str:
    return ordered[(0, len(ordered) // 2, len(ordered) - 1)[severity - 1]]


@cache
def _overlap(first: str, other: str) -> float:
    """Returns the intersection over union of the outlines of one drawing of each kind."""
    a, b = (draw(Label(kind, "red", "flat"), 1)[..., 3] >= 128 for kind in (first, other))
    return float((a & b).sum() / (a | b).sum())


@cache
def _lab(colour: str) -> np.ndarray:
    pixel = np.array([[COLOURS[colour]]], np.float32) / 255
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_RGB2Lab)[0, 0])
