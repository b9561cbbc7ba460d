"""Input: a group of options is read as options and arrives as one value; dates are checked."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from app.cli.input import option_groups, parse_since
from app.errors import InvalidRequest


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option(help="A colour.")]
    layers: Annotated[int, typer.Option(min=1)] = 2


def painted(*arguments: str) -> tuple[int, list[tuple[str, Paint, bool]]]:
    calls: list[tuple[str, Paint, bool]] = []
    commands = typer.Typer()

    @commands.command()
    @option_groups
    def paint(wall: str, paint: Paint, dry: bool = False) -> None:
        calls.append((wall, paint, dry))

    return CliRunner().invoke(commands, arguments).exit_code, calls


def test_the_fields_of_a_group_are_options_and_arrive_as_one_value() -> None:
    assert painted("north", "--colour", "red") == (0, [("north", Paint("red", 2), False)])
    assert painted("north", "--colour", "red", "--layers", "3", "--dry") == (
        0, [("north", Paint("red", 3), True)],
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [["north"], ["north", "--colour", "red", "--layers", "0"]])
def test_the_options_of_a_group_are_validated_like_any_other(arguments: list[str]) -> None:
    assert painted(*arguments) == (2, [])


@pytest.mark.parametrize("text", ["", "2026", "2026-11", "2026-11-21", "2026-11-21T10:00:00Z"])
def test_a_date_or_its_beginning_is_taken_as_it_is(text: str) -> None:
    assert parse_since(text) == text


def test_any_other_date_is_refused_with_an_example() -> None:
    with pytest.raises(InvalidRequest, match="'yesterday' is not a date; write 2026"):
        parse_since("yesterday")
