"""Fonts are looked up by name in a listing, read with limits, and known by what they can set."""

from pathlib import Path

import pytest

from app.digest import digest_file
from app.errors import InvalidRequest
from app.models.text.fonts import BUNDLED, DEFAULT_FONT, MAX_BYTES, Fonts, require_glyphs
from tests.models.square_font import write_square_font


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_square_font(tmp_path / "Squares.ttf", "夏a")
    return tmp_path


def test_the_empty_name_is_the_default_font() -> None:
    fonts = Fonts()
    assert fonts.find("") is fonts.find(DEFAULT_FONT)


def test_every_bundled_font_can_be_read_and_has_its_licence_beside_it() -> None:
    fonts = Fonts()
    for name in fonts.names:
        font = fonts.find(name)
        assert 0.4 < font.x_height < font.cap_height < 1
        assert "SIL Open Font License" in (BUNDLED / f"{name.split('-')[0]}-OFL.txt").read_text()


def test_bundled_fonts_stay_small() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 10**6


def test_a_font_of_the_folder_is_found_by_its_stem_and_known_by_its_bytes(folder: Path) -> None:
    font = Fonts(folder).find("Squares")
    assert font.digest == digest_file(folder / "Squares.ttf")
    assert font.characters == {ord("夏"), ord("a")}
    assert (font.x_height, font.cap_height, font.descent) == (0.6, 0.8, 0.1)


def test_an_unknown_font_is_refused_with_the_nearest_names(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no font is named 'Square'.*Squares"):
        Fonts(folder).find("Square")


@pytest.mark.parametrize(
    "path", ["../Squares", "Squares.ttf", "/etc/passwd", "./Squares", "Squares\0"]
)
def test_a_path_is_no_name(folder: Path, path: str) -> None:
    (folder / "inner").mkdir()
    write_square_font(folder / "inner" / "Deep.ttf", "a")
    with pytest.raises(InvalidRequest, match="no font is named"):
        Fonts(folder / "inner").find(path)


def test_a_name_that_stands_twice_is_refused_when_asked_for(folder: Path) -> None:
    write_square_font(folder / f"{DEFAULT_FONT}.ttf", "a")
    fonts = Fonts(folder)
    assert fonts.find("Squares").name == "Squares"
    with pytest.raises(InvalidRequest, match="exists twice"):
        fonts.find("")


def test_only_font_files_are_listed(folder: Path) -> None:
    (folder / "notes.txt").write_text("no font")
    (folder / "folder.ttf").mkdir()
    assert set(Fonts(folder).names) == {*Fonts().names, "Squares"}


def test_a_file_that_is_no_font_is_refused_by_name(folder: Path) -> None:
    (folder / "Broken.ttf").write_bytes(b"\0\1\0\0" + b"junk" * 20)
    with pytest.raises(InvalidRequest, match=r"font 'Broken' cannot be read.*Broken\.ttf"):
        Fonts(folder).find("Broken")


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.99])
def test_a_cut_off_font_is_refused(folder: Path, share: float) -> None:
    whole = (BUNDLED / "Rubik-SemiBold.ttf").read_bytes()
    (folder / "Cut.ttf").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InvalidRequest, match="font 'Cut' cannot be read"):
        Fonts(folder).find("Cut")


def test_a_huge_file_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "Huge.otf").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidRequest, match="use a subset"):
        Fonts(folder).find("Huge")


def test_a_folder_that_is_not_there_adds_no_fonts(tmp_path: Path) -> None:
    assert Fonts(tmp_path / "fonts").names == Fonts().names


@pytest.mark.parametrize("text", ["Ångström", "A\u030angstro\u0308m", "a\u200db", "two\nlines"])
def test_composed_and_decomposed_letters_and_joiners_are_covered(text: str) -> None:
    require_glyphs(text, Fonts().find(""))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("summer 夏", r"'夏' \(U\+590F CJK UNIFIED IDEOGRAPH-590F\)"),
        ("tab\there", r"'\\t' \(U\+0009 a control character\)"),
        ("sun ☀️", r"U\+2600 BLACK SUN"),
    ],
)
def test_a_missing_glyph_is_named(text: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        require_glyphs(text, Fonts().find("Rubik-SemiBold"))
