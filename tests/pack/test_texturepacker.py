"""The sheet metadata: read by us, and by the engine it is written for."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from app.errors import InvalidRequest
from app.pack.atlas import Page, Sprite, pack
from app.pack.formats.texturepacker import read_texturepacker, texturepacker_json
from app.types import Pivot, Placement
from tests.pack.sprites import sprite, sprite_lists

POTION = sprite("red-potion", trim=(5, 7, 40, 50), pivot=Pivot(x=0.25, y=1), seed=1)
CRATE = sprite("crate", frame=(32, 24), trim=(0, 0, 32, 24), seed=2)


def page_of(*sprites: Sprite) -> Page:
    (page,) = pack(sprites, name="icons")
    return page


def parsed_by_pixi(pixi: Path, sheet: bytes, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "icons-0.json"
    file.write_bytes(sheet)
    script = Path(__file__).with_name("pixi_parse.mjs")
    run = subprocess.run(
        ["node", str(script), str(pixi), str(file)],
        check=True,
        stdout=subprocess.PIPE,
        timeout=120,
    )
    parsed: dict[str, Any] = json.loads(run.stdout)
    return parsed


def seen_by_pixi(placement: Placement, scale: float) -> dict[str, Any]:
    """What the engine should make of a placement, in its own units."""
    frame, trim, source = placement.frame, placement.trim, placement.source
    trimmed = (trim.width, trim.height) != (source.width, source.height)
    rects: dict[str, list[float] | None] = {
        "frame": [frame.x, frame.y, frame.width, frame.height],
        "trim": [trim.x, trim.y, trim.width, trim.height] if trimmed else None,
        "orig": [0, 0, source.width, source.height],
    }
    scaled = {key: rect and [value / scale for value in rect] for key, rect in rects.items()}
    return scaled | {"anchor": [placement.pivot.x, placement.pivot.y], "rotate": 0}


@settings(max_examples=30, deadline=None)
@given(sprite_lists())
def test_what_is_written_is_read_back(sprites: list[Sprite]) -> None:
    for page in pack(sprites, name="icons", max_page_size=64):
        assert read_texturepacker(texturepacker_json(page, image="a.png")) == page.placements


def test_the_file_says_what_engines_look_for() -> None:
    sheet = json.loads(
        texturepacker_json(
            page_of(POTION), image="icons-0.png", scale=0.5, related=["icons-1.json"]
        )
    )
    assert sheet == {
        "frames": {
            "red-potion": {
                "frame": {"x": 1, "y": 1, "w": 40, "h": 50},
                "rotated": False,
                "trimmed": True,
                "spriteSourceSize": {"x": 5, "y": 7, "w": 40, "h": 50},
                "sourceSize": {"w": 64, "h": 64},
                "pivot": {"x": 0.25, "y": 1},
                "anchor": {"x": 0.25, "y": 1},
            }
        },
        "meta": {
            "app": "atelier",
            "version": "1.0",
            "image": "icons-0.png",
            "format": "RGBA8888",
            "size": {"w": 64, "h": 64},
            "scale": "0.5",
            "related_multi_packs": ["icons-1.json"],
        },
    }


def test_an_untrimmed_sprite_is_called_untrimmed() -> None:
    sheet = json.loads(texturepacker_json(page_of(CRATE), image="a.png"))
    assert sheet["frames"]["crate"]["trimmed"] is False


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_pixijs_reads_the_sheet_as_we_mean_it(pixi: Path, scale: float, tmp_path: Path) -> None:
    page = page_of(POTION, CRATE, *(sprite(f"s-{seed}", seed=seed) for seed in range(3, 9)))
    parsed = parsed_by_pixi(pixi, texturepacker_json(page, image="a.png", scale=scale), tmp_path)
    assert parsed == {
        placement.name: seen_by_pixi(placement, scale) for placement in page.placements
    }


def test_keys_we_do_not_write_are_left_unread() -> None:
    sheet = json.loads(texturepacker_json(page_of(POTION), image="a.png"))
    sheet["animations"] = {"drink": ["red-potion"]}
    sheet["frames"]["red-potion"]["borders"] = {"left": 1}
    assert read_texturepacker(json.dumps(sheet).encode()) == page_of(POTION).placements


def test_rotated_frames_are_refused() -> None:
    sheet = texturepacker_json(page_of(POTION), image="a.png")
    turned = sheet.replace(b'"rotated":false', b'"rotated":true')
    with pytest.raises(InvalidRequest, match="red-potion is rotated"):
        read_texturepacker(turned)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"frame"', b'"frames"'),
        (b'"w":40', b'"w":-40'),
        (b'"red-potion"', b'"../potion"'),
        (b"{", b"["),
    ],
)
def test_a_broken_sheet_is_refused(old: bytes, new: bytes) -> None:
    sheet = texturepacker_json(page_of(POTION), image="a.png")
    with pytest.raises(InvalidRequest, match="not a TexturePacker JSON hash"):
        read_texturepacker(sheet.replace(old, new))
