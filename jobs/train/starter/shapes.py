"""The outlines of the sixteen kinds of object, as polygons in free units with y pointing down.

Every kind is one function from a random generator to a list of parts, drawn in order. Thin objects
are drawn thick and always lean the same way, because a small model learns one clear shape far
better than many faint ones. This module knows no pixels or colours, only roles such as "main".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """One filled polygon.

    `tone` brightens (above 0) or darkens (below 0) the role's colour. A `detail` part lies on the
    surface of what is below it: it gets neither a bevel nor an inner outline of its own. The role
    "hole" cuts the drawing open.
    """

    points: Points
    role: str = "main"
    tone: float = 0.0
    detail: bool = False


def ellipse(x: float, y: float, rx: float, ry: float | None = None, count: int = 48) -> Points:
    """Returns points on an ellipse, shape [count, 2]."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + (ry or rx) * np.sin(angle)], axis=1)


def polygon(*points: tuple[float, float]) -> Points:
    """Returns the polygon through the given corners."""
    return np.array(points, dtype=np.float64)


def box(x0: float, y0: float, x1: float, y1: float, *, rounds: int = 2) -> Points:
    """Returns an upright rectangle with cut corners."""
    return soften(polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1)), rounds=rounds, share=0.12)


def soften(points: Points, *, rounds: int = 2, share: float = 0.25) -> Points:
    """Returns the polygon with its corners cut in rounds, two points for each (Chaikin 1974)."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        cut = [(1 - share) * points + share * following, share * points + (1 - share) * following]
        points = np.stack(cut, axis=1).reshape(-1, 2)
        share = 0.25
    return points


def ribbon(centre: Points, widths: Points) -> Points:
    """Returns a band around a centre line; `widths` holds half the width at each point."""
    tangent = np.gradient(centre, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * widths[:, None]
    return np.concatenate([centre + normal, (centre - normal)[::-1]])


def turned(parts: list[Part], degrees: float) -> list[Part]:
    """Returns the parts rotated clockwise about the origin."""
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [replace(part, points=part.points @ matrix) for part in parts]


def _sword(rng: np.random.Generator) -> list[Part]:
    w = rng.uniform(0.29, 0.32)
    tip = rng.uniform(-1.14, -1.08)
    parts = [
        Part(polygon((-w, 0.4), (-w, tip + 0.46), (0, tip), (w, tip + 0.46), (w, 0.4))),
        Part(polygon((-w, 0.4), (-w, tip + 0.46), (0, tip), (0, 0.4)), tone=0.35, detail=True),
        Part(box(-0.17, 0.45, 0.17, 1.0), "wood"),
        Part(soften(polygon((-0.66, 0.26), (0.66, 0.26), (0.58, 0.58), (-0.58, 0.58))), "gold"),
        Part(ellipse(0, 1.02, 0.25), "gold"),
    ]
    return turned(parts, 45)


def _shield(rng: np.random.Generator) -> list[Part]:
    right = [(0.0, -1.0), (0.45, -0.9), (0.88, -0.92), (0.92, -0.2), (0.72, 0.45), (0.0, 1.05)]
    rim = polygon(*right, *[(-x, y) for x, y in right[-2:0:-1]])
    inner = rim * np.array([0.76, 0.77])
    half = inner[: len(right)]
    boss = rng.uniform(0.25, 0.3)
    return [
        Part(rim, "steel"),
        Part(inner),
        Part(half, tone=-0.25, detail=True),
        Part(ellipse(0, -0.12, boss), "gold"),
    ]


def _potion(rng: np.random.Generator) -> list[Part]:
    level = rng.uniform(-0.12, 0.02)
    liquid = ellipse(0, 0.32, 0.7)
    liquid = liquid[liquid[:, 1] > level]
    liquid = liquid[np.argsort(np.arctan2(liquid[:, 1] - 0.5, liquid[:, 0]))]
    return [
        Part(box(-0.26, -1.0, 0.26, -0.6), "wood"),
        Part(box(-0.29, -0.65, 0.29, 0.0), "glass"),
        Part(ellipse(0, 0.32, 0.84), "glass"),
        Part(box(-0.42, -0.76, 0.42, -0.5), "glass"),
        Part(liquid, detail=True),
        Part(ellipse(-0.26, 0.26, 0.13, 0.19), tone=0.55, detail=True),
        Part(ellipse(0.2, 0.55, 0.1), tone=0.3, detail=True),
    ]


def _gem(rng: np.random.Generator) -> list[Part]:
    top, girdle = rng.uniform(0.5, 0.6), rng.uniform(-0.3, -0.22)
    a, b, c, d, tip = (-top, -0.8), (top, -0.8), (1.0, girdle), (-1.0, girdle), (0.0, 0.95)
    e, f = (-0.4, girdle), (0.4, girdle)
    facets = [
        (polygon(a, e, d), 0.05),
        (polygon(a, b, f, e), 0.45),
        (polygon(b, c, f), -0.1),
        (polygon(d, e, tip), 0.2),
        (polygon(e, f, tip), 0.0),
        (polygon(f, c, tip), -0.3),
    ]
    outline = Part(polygon(a, b, c, tip, d))
    return [outline, *(Part(points, tone=tone, detail=True) for points, tone in facets)]


def _coin(rng: np.random.Generator) -> list[Part]:
    w = rng.uniform(0.2, 0.25)
    mark = polygon((0, -0.46), (w + 0.08, 0), (0, 0.46), (-w - 0.08, 0))
    return [
        Part(ellipse(0, 0, 1.0), tone=-0.15),
        Part(ellipse(0, 0, 0.74), tone=0.12),
        Part(mark + 0.05, tone=-0.4, detail=True),
        Part(mark, tone=0.5, detail=True),
    ]


def _key(rng: np.random.Generator) -> list[Part]:
    tooth = rng.uniform(0.56, 0.62)
    parts = [
        Part(box(-0.22, -0.4, 0.22, 1.12)),
        Part(box(0.0, 0.8, tooth, 1.12)),
        Part(box(0.0, 0.28, tooth, 0.6)),
        Part(box(-0.22, 0.0, 0.02, 1.12), tone=0.25, detail=True),
        Part(ellipse(0, -0.55, 0.66)),
        Part(ellipse(-0.04, -0.59, 0.52), tone=0.25, detail=True),
        Part(ellipse(0, -0.55, 0.27), "hole"),
    ]
    return turned(parts, 45)


def _heart(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    points = np.stack([np.sin(t) ** 3, y * rng.uniform(0.94, 1.0)], axis=1)
    return [
        Part(points, tone=-0.2),
        Part(points * 0.84 + np.array([-0.05, -0.05]), detail=True),
        Part(ellipse(-0.5, -0.25, 0.13, 0.22), tone=0.65, detail=True),
    ]


def _star(rng: np.random.Generator) -> list[Part]:
    inner = rng.uniform(0.5, 0.55)
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.0, inner)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    rays = [np.stack([points[i], points[(i + 1) % 10], np.zeros(2)]) for i in range(10)]
    tones = [-0.05 if i % 2 == 0 else 0.35 for i in range(10)]
    return [
        Part(points),
        *(Part(ray, tone=tone, detail=True) for ray, tone in zip(rays, tones, strict=True)),
    ]


def _axe(rng: np.random.Generator) -> list[Part]:
    reach = rng.uniform(1.0, 1.06)
    edge = np.linspace(-1, 1, 13)
    curve = np.stack([reach - 0.26 * edge**2, -0.3 + 0.9 * edge], axis=1)
    upper = polygon((-0.1, -0.7), (0.2, -0.78), (0.5, -1.02))
    lower = polygon((0.5, 0.42), (0.2, 0.18), (-0.1, 0.1))
    sharp = np.concatenate([curve, (curve - np.array([0.27, 0]))[::-1]])
    parts = [
        Part(box(-0.19, -1.05, 0.19, 1.15), "wood"),
        Part(np.concatenate([upper, curve, lower])),
        Part(sharp, tone=0.45, detail=True),
        Part(box(-0.42, -0.68, 0.26, 0.06), tone=-0.25),
    ]
    return turned(parts, 38)


def _bow(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(-1, 1, 33)
    bend = rng.uniform(0.86, 0.94)
    limb = np.stack([bend * np.cos(t * np.pi / 2) - 0.4, 1.1 * t], axis=1)
    arrow = rng.uniform(1.16, 1.22)
    head = polygon((arrow - 0.5, -0.38), (arrow, 0), (arrow - 0.5, 0.38))
    parts = [
        Part(box(-0.52, -1.08, -0.36, 1.08, rounds=0), "string"),
        Part(box(-0.8, -0.12, arrow - 0.45, 0.12, rounds=0), "wood"),
        Part(head, "steel"),
        Part(ribbon(limb, 0.27 - 0.1 * np.abs(t))),
        Part(ribbon(limb - np.array([0.05, 0]), 0.09 - 0.03 * np.abs(t)), tone=0.4, detail=True),
        Part(ribbon(limb[13:20], np.full(7, 0.29)), tone=-0.45, detail=True),
    ]
    return turned(parts, -45)


def _scroll(rng: np.random.Generator) -> list[Part]:
    w = rng.uniform(0.66, 0.72)
    lines = [box(-0.42, y, 0.42, y + 0.1, rounds=0) for y in (-0.42, -0.16)]
    return [
        Part(box(-w, -0.8, w, 0.8, rounds=0), "paper"),
        *(Part(line, "ink", detail=True) for line in lines),
        Part(box(-0.96, -1.0, 0.96, -0.6)),
        Part(box(-0.96, 0.6, 0.96, 1.0)),
        Part(box(-0.9, -0.95, 0.9, -0.84, rounds=0), tone=0.35, detail=True),
        Part(box(-0.9, 0.65, 0.9, 0.76, rounds=0), tone=0.35, detail=True),
        Part(ellipse(0, 0.26, 0.25)),
    ]


def _mushroom(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(np.pi, 2 * np.pi, 32)
    cap = np.stack([np.cos(t), 0.05 + rng.uniform(0.98, 1.06) * np.sin(t)], axis=1)
    brim = np.array([[0.92, 0.25], [0.4, 0.34], [-0.4, 0.34], [-0.92, 0.25]])
    stem = polygon(
        (-0.32, 0.1), (0.32, 0.1), (0.42, 0.9), (0.25, 1.02), (-0.25, 1.02), (-0.42, 0.9)
    )
    return [
        Part(stem, "paper"),
        Part(np.concatenate([cap, brim])),
        Part(ellipse(-0.08, -0.52, 0.25, 0.22), "spot", detail=True),
        Part(ellipse(-0.6, -0.08, 0.18, 0.19), "spot", detail=True),
        Part(ellipse(0.52, -0.16, 0.21, 0.2), "spot", detail=True),
    ]


def _bomb(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(0, 1, 12)
    fuse = np.stack([0.4 + 0.32 * t, -0.45 - 0.3 * np.sin(t * np.pi * 0.55)], axis=1)
    angle = np.arange(16) * np.pi / 8
    radius = np.where(np.arange(16) % 2 == 0, 0.38, 0.23)
    spark = np.stack([radius * np.cos(angle) + 0.72, radius * np.sin(angle) - 0.72], axis=1)
    neck = turned([Part(box(-0.3, -1.02, 0.3, -0.6))], 40)[0].points
    return [
        Part(ribbon(fuse, np.full(12, 0.13)), "wood"),
        Part(neck + np.array([-0.14, 0.3]), "steel"),
        Part(ellipse(-0.14, 0.28, rng.uniform(0.85, 0.89))),
        Part(ellipse(-0.48, -0.08, 0.19, 0.22), tone=0.6, detail=True),
        Part(spark, "flame"),
        Part(ellipse(0.72, -0.72, 0.17), "spark", detail=True),
    ]


def _crown(rng: np.random.Generator) -> list[Part]:
    dip = rng.uniform(-0.02, 0.06)
    body = polygon(
        (-0.82, 0.62),
        (-1.0, -0.42),
        (-0.46, dip),
        (0, -0.66),
        (0.46, dip),
        (1.0, -0.42),
        (0.82, 0.62),
    )
    balls = [(-0.98, -0.5), (0.0, -0.74), (0.98, -0.5)]
    return [
        Part(body),
        *(Part(ellipse(x, y, 0.19), tone=0.3) for x, y in balls),
        Part(box(-0.86, 0.4, 0.86, 0.8), tone=-0.25),
        *(Part(ellipse(x, 0.6, 0.11), "jewel", detail=True) for x in (-0.5, 0.0, 0.5)),
    ]


def _book(rng: np.random.Generator) -> list[Part]:
    w = rng.uniform(0.76, 0.82)
    return [
        Part(box(-w + 0.06, -0.86, w + 0.08, 1.04), tone=-0.35),
        Part(box(-w + 0.1, 0.7, w + 0.02, 0.96, rounds=0), "paper"),
        Part(box(-w, -1.0, w, 0.78)),
        Part(box(-w, -1.0, -w + 0.34, 0.78), tone=-0.3, detail=True),
        Part(polygon((0.17, -0.5), (0.47, -0.1), (0.17, 0.3), (-0.13, -0.1)), "gold"),
    ]


def _chest(rng: np.random.Generator) -> list[Part]:
    t = np.linspace(np.pi, 2 * np.pi, 24)
    lid = np.stack([np.cos(t), -0.1 + rng.uniform(0.66, 0.74) * np.sin(t)], axis=1)
    bands = [(-0.74, -0.46), (0.46, 0.74)]
    return [
        Part(lid, tone=0.15),
        Part(box(-1.0, -0.1, 1.0, 0.85, rounds=1), tone=-0.1),
        *(Part(box(a, -0.1, b, 0.85, rounds=0), "gold") for a, b in bands),
        *(Part(box(a, -0.58, b, -0.1, rounds=0), "gold", detail=True) for a, b in bands),
        Part(box(-1.0, -0.2, 1.0, -0.02, rounds=0), tone=-0.5, detail=True),
        Part(box(-0.22, -0.28, 0.22, 0.28), "gold"),
        Part(ellipse(0, 0.02, 0.09), "ink", detail=True),
    ]


SHAPES: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    "sword": _sword,
    "shield": _shield,
    "potion": _potion,
    "gem": _gem,
    "coin": _coin,
    "key": _key,
    "heart": _heart,
    "star": _star,
    "axe": _axe,
    "bow": _bow,
    "scroll": _scroll,
    "mushroom": _mushroom,
    "bomb": _bomb,
    "crown": _crown,
    "book": _book,
    "chest": _chest,
}
