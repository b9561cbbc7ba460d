"""`atelier keys ...`: make, list and revoke the keys of the service's callers."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.api.keys import KeyOwner, add_key, read_keys, revoke_key
from app.cli.input import read_settings
from app.cli.output import AsJson, exit_codes, make_console, print_results, say

keys = typer.Typer(
    help="Who may call the service: one key for each caller.",
    no_args_is_help=True,
)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: team-a.")]


@keys.command(epilog="Example: atelier keys add art-team --team heroes --images-per-minute 60")
def add(
    name: KeyName,
    team: Annotated[str, typer.Option(help="Whose images they are; else the name.")] = "",
    images_per_minute: Annotated[
        int | None, typer.Option(min=1, help="At most so many; else without limit.")
    ] = None,
    images_at_once: Annotated[
        int | None, typer.Option(min=1, help="At most so many; else without limit.")
    ] = None,
) -> None:
    """Make a key and print it. The key itself is not stored, only its digest.

    A running service needs keys from then on, and accepts this one within about a second.
    """
    with exit_codes(as_json=False):
        print(
            add_key(
                read_settings().home,
                name,
                team=team,
                images_per_minute=images_per_minute,
                images_at_once=images_at_once,
            )
        )


@keys.command("list", epilog="Example: atelier keys list")
def list_keys(as_json: AsJson = False) -> None:
    """List the owners of keys and their limits; the keys themselves are not stored."""
    with exit_codes(as_json):
        print_results(list(read_keys(read_settings().home).owners.values()), as_json, _show)


@keys.command(epilog="Example: atelier keys revoke art-team")
def revoke(name: KeyName) -> None:
    """Revoke a key: a running service refuses it within about a second.

    When no key is left the service refuses every call; it does not open to everybody.
    """
    with exit_codes(as_json=False):
        home = read_settings().home
        revoke_key(home, name)
        left = read_keys(home)
        if not left.owners:
            say(
                f"no key is left: every call is refused until there is one, or {left.file} is "
                "removed and the service started again"
            )


def _show(owners: Sequence[KeyOwner]) -> None:
    from app.cli.tables import Table

    table = Table("name", "team", "images/minute", "images at once")
    for owner in owners:
        limits = owner.images_per_minute or "any", owner.images_at_once or "any"
        table.add(owner.name, owner.team, *limits)
    make_console().print(table if owners else "no keys; make one: atelier keys add NAME")
