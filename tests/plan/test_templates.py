"""Text has one form, templates hold nothing but axis names, and names can do no harm."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.plan.templates import (
    fill,
    forbidden,
    has_stray_brace,
    normalise,
    path_like,
    reserved,
    slug,
    variables,
)


@given(st.text())
def test_a_text_has_one_form(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
    assert not re.search(r"\s\s", once)


@given(st.text())
def test_a_slug_is_a_plain_word_and_its_own_slug(text: str) -> None:
    try:
        result = slug(text)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", result)
    assert slug(result) == result
    assert slug(unicodedata.normalize("NFD", text)) == result
    assert not path_like(result)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dark Blue", "dark-blue"),
        ("Grün", "grun"),
        ("Straße", "strasse"),
        ("1.50", "1-50"),
        ("a__b", "a-b"),
        ("snake_case", "snake_case"),
        ("../x", "x"),
        (" -?red!- ", "red"),
    ],
)
def test_slugs_read_like_what_they_stand_for(text: str, expected: str) -> None:
    assert slug(text) == expected


@pytest.mark.parametrize("text", ["", "...", "_", "красный", "٣", "røkk"])
def test_what_cannot_be_spelled_in_ascii_is_no_slug(text: str) -> None:
    with pytest.raises(ValueError, match=r"no plain form|no letter"):
        slug(text)


@given(st.text(), st.text())
def test_doubled_braces_stand_for_themselves_and_values_are_put_in_as_they_are(
    text: str, value: str
) -> None:
    template = text.replace("{", "{{").replace("}", "}}") + "{axis}"
    assert not has_stray_brace(template)
    assert variables(template) == ("axis",)
    assert fill(template, {"axis": value}) == unicodedata.normalize("NFC", text + value)


def test_an_accent_at_the_seam_joins_its_letter() -> None:
    assert fill("cafe{rest}", {"rest": "\u0301 bar"}) == "caf\u00e9 bar"


@pytest.mark.parametrize("template", ["{", "}", "{}", "{ a }", "{a.b}", "{a[0]}", "{0}", "{a!r}"])
def test_braces_hold_axis_names_and_nothing_else(template: str) -> None:
    assert has_stray_brace(template)


def test_variables_come_once_and_in_their_order() -> None:
    assert variables("{b} {a} {{c}} {b}") == ("b", "a")


@pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x7f", "\u200b", "\u202e", "\ufeff", "\ud800"])
def test_invisible_characters_are_forbidden(sign: str) -> None:
    assert forbidden(f"a {sign} gem") == sign


def test_line_breaks_and_the_joiners_of_scripts_and_emoji_are_allowed() -> None:
    assert forbidden("a\n\tgem \u0645\u06cc\u200c\u0634\u0648\u062f") == ""


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "lpt9.txt", "aux.red", "prn "])
def test_device_names_are_reserved_whatever_follows(name: str) -> None:
    assert reserved(name)


@pytest.mark.parametrize("name", ["icon", "con-icon", "com", "red.con"])
def test_names_that_only_look_alike_are_free(name: str) -> None:
    assert not reserved(name)
