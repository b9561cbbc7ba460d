"""Help: one door for everything a user does, grouped, with an example that is a real command."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli.forward import RUNS, SERVICE
from app.cli.main import MAKE, atelier
from deployments.__main__ import commands as service_commands
from jobs.commands import commands as run_commands

PREFIX = "Example: atelier "


def leaves(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is no group, by its words."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, *path, name)


def described() -> dict[tuple[str, ...], Any]:
    """Each command of `atelier` as it reads its arguments, wherever it runs."""
    own = dict(leaves(get_command(atelier)))
    elsewhere = dict(leaves(get_command(run_commands))) | dict(
        leaves(get_command(service_commands))
    )
    return {path: elsewhere.get(path, command) for path, command in own.items()}


@pytest.mark.parametrize("path", sorted(described()), ids=" ".join)
def test_every_command_has_an_example_that_names_it_and_its_own_options(
    path: tuple[str, ...],
) -> None:
    command = described()[path]
    assert command.epilog
    assert command.epilog.startswith(PREFIX)
    words = shlex.split(command.epilog.removeprefix(PREFIX))
    assert tuple(words[: len(path)]) == path
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_forwarded_command_exists_where_it_is_forwarded_to() -> None:
    known = {*get_command(run_commands).commands, *get_command(service_commands).commands}
    forwarded = {"run", "generate", "recheck", "refinish", "repack", "bench", "submit", "floor"}
    assert forwarded | {"runs", "serve"} <= known
    assert (RUNS, SERVICE) == ("jobs.commands", "deployments")


def test_the_help_groups_commands_by_what_people_do_and_fits_a_screen() -> None:
    shown = CliRunner().invoke(atelier, ["--help"], env={"COLUMNS": "100"}).output
    assert MAKE in shown
    assert shown.index("Make images") < shown.index("Look at what was made") < shown.index("Money")
    assert len(shown.splitlines()) <= 60
