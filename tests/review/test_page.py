"""The page's files: all there, nothing else reachable, nothing inline, nothing from outside."""

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from app.models.text.contrast import luminance
from app.review import MEDIA_TYPES, POLICY, page_html, static_file

STATIC = {file.name for file in (files("app.review") / "static").iterdir()}
HTML = page_html().decode()
SCRIPTS = sorted(name for name in STATIC if name.endswith(".js"))


def text_of(name: str) -> str:
    file = static_file(name)
    assert file is not None
    return file[0].decode()


class Parsed(HTMLParser):
    """Every tag of the page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(HTML)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_every_file_is_served_with_its_type() -> None:
    for name in STATIC:
        file = static_file(name)
        assert file is not None
        assert file[0]
        assert file[1] == MEDIA_TYPES["." + name.rpartition(".")[2]]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../__init__.py", "previews.html", "main", "MAIN.js", "main.js/", "./main.js"],
)
def test_no_other_name_is_a_file(name: str) -> None:
    assert static_file(name) is None


def test_the_page_names_only_files_that_are_served() -> None:
    named = re.findall(r'(?:href|src)="([^"]+)"', HTML)
    assert named
    assert all(name.startswith("static/") for name in named)
    assert {name.removeprefix("static/") for name in named} <= STATIC


def test_every_module_is_imported_and_every_import_is_there() -> None:
    named = re.findall(r'from "\./(\w+\.js)"', "".join(map(text_of, SCRIPTS)))
    assert set(named) | {"main.js"} == set(SCRIPTS)


def test_nothing_is_inline_and_every_id_is_one_of_a_kind() -> None:
    tags = Parsed().tags
    for tag, attributes in tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes.get("src")
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_element_a_module_asks_for_stands_in_the_page() -> None:
    known = {attributes["id"] for _, attributes in Parsed().tags if "id" in attributes}
    for name in SCRIPTS:
        asked = set(re.findall(r'byId\("([\w-]+)"\)', text_of(name))) - {
            "again"
        }  # made with an error
        assert asked <= known, name


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_module_makes_markup_or_code_of_text(name: str) -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("):
        assert way not in text_of(name)


def test_nothing_names_an_address_outside() -> None:
    outside = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")
    assert not outside.search(HTML)
    for name in STATIC:
        assert not outside.search(text_of(name)), name


def test_the_policy_allows_the_pages_own_origin_and_nothing_else() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules.pop("img-src") == "'self' data: blob:"
    assert rules.pop("default-src") == "'none'"
    assert set(rules.values()) == {"'self'", "'none'"}
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_as_wcag_asks_at_level_aa(dark: bool) -> None:
    colours = _colours(dark)
    for ink in ("ink", "faint", "accent", "bad", "good"):
        assert _contrast(colours[ink], colours["card"]) >= 4.5, ink
    for ground in ("ground", "well", "bad-soft", "accent-soft"):
        assert _contrast(colours["ink"], colours[ground]) >= 4.5, ground
    assert _contrast(colours["faint"], colours["ground"]) >= 4.5
    assert _contrast(colours["faint"], colours["well"]) >= 4.5
    assert _contrast(colours["bad"], colours["bad-soft"]) >= 4.5
    assert _contrast(colours["accent-ink"], colours["accent"]) >= 4.5
    for edge in ("edge", "focus"):  # what is no text but tells a control
        assert _contrast(colours[edge], colours["card"]) >= 3
        assert _contrast(colours[edge], colours["ground"]) >= 3


def _colours(dark: bool) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", text_of("base.css"), re.DOTALL)
    light, night = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return light | night if dark else light


def _contrast(first: str, other: str) -> float:
    dark, light = sorted((luminance(first), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
