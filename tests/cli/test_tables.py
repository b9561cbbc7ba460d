"""Tables and text for people: nothing that a user wrote acts on the terminal."""

import pytest

from app.cli.output import make_console, say, visible
from app.cli.tables import Table, escape, fact_table, number, percent, plain, right, styled, usd

HOSTILE = "\x1b[2Jred\x07\x85\u202egnp\u2066 [bold]x[/]\nnext"
SHOWN = r"\x1b[2Jred\x07\x85\u202egnp\u2066 [bold]x[/]\nnext"


def printed(capsys: pytest.CaptureFixture[str], *values: object) -> list[str]:
    for value in values:
        make_console().print(value)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "code",
    [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)],
    ids=hex,
)
def test_every_control_character_is_shown_as_its_escape(code: int) -> None:
    shown = visible(f"a{chr(code)}b")
    assert shown.isprintable()
    assert shown == f"a{ascii(chr(code))[1:-1]}b"


def test_other_characters_stay_as_they_are() -> None:
    text = "Café ± 東京 ▁█ \U0001f600 [x] \\ é"
    assert visible(text) == text
    assert visible("a\nb\x1b", keep="\n") == r"a" + "\n" + r"b\x1b"


def test_cells_lines_and_facts_show_markup_and_controls_as_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(HOSTILE, title=HOSTILE)
    table.add(HOSTILE)
    table.add(styled(HOSTILE, "bold"))
    table.add(plain(HOSTILE))
    lines = printed(capsys, table, f"[bold]{escape(HOSTILE)}[/]", fact_table([("f", HOSTILE)]))
    assert [line.strip().removeprefix("f  ") for line in lines if line] == [SHOWN] * 7


def test_a_message_keeps_its_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    assert capsys.readouterr().err.splitlines() == SHOWN.split(r"\n")


def test_a_column_with_numbers_is_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name", "count", "USD", "share", "pace", "note")
    table.add("first", 7, usd(0.5), percent(0.25), number(1234.5), "x")
    table.add("b", 1200, usd(None), percent(None), right("1 of 2"), "long")
    assert printed(capsys, table) == [
        " name   count       USD  share    pace  note",
        " first      7  0.500000  25.0%    1234  x",
        " b       1200         -      -  1 of 2  long",
    ]
