"""`atelier ...`: thin commands; what they do stands in the module they call.

Nothing heavy is imported here: help and plans answer without loading a model or Ray.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.doors import AllowLarge, AsJson, PlanFile, answer, doors, print_json
from app.settings import Settings
from app.types import Measure, Status

if TYPE_CHECKING:
    from app.store.catalog import Catalog

atelier = typer.Typer(
    help="A plan of image assets becomes finished, checked, packed files.",
    no_args_is_help=True,
    add_completion=False,
)


@atelier.command()
def plan(path: PlanFile, allow_large: AllowLarge = False, as_json: AsJson = False) -> None:
    """Say what PLAN asks for, what is already made, and what the rest may take. Makes nothing."""
    from app.models.versions import fleet
    from app.outlook import outlook
    from app.plan.expand import expand
    from app.plan.read import read_plan
    from app.show import show_outlook

    with doors(as_json):
        settings = Settings()
        written = read_plan(path, allow_large=allow_large)
        models = fleet()
        found = outlook(
            written.name,
            list(expand(written, models)),
            models,
            _catalog(settings),
            workers=os.cpu_count() or 1,
            usd_per_hour=settings.usd_per_hour,
        )
        answer(found, as_json, show_outlook)


@atelier.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)
def run(context: typer.Context) -> None:
    """Make PLAN: the same as `python -m jobs bulk PLAN`, with the same options (see --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "jobs", "bulk", *context.args])


@atelier.command()
def assets(
    name: Annotated[str, typer.Option(help="Names by glob: potion.*")] = "*",
    status: Annotated[Status | None, typer.Option(help="Only those with this fate.")] = None,
    model: Annotated[str | None, typer.Option(help="Made by this model: starter-icons/1")] = None,
    rule: Annotated[Measure | None, typer.Option(help="Where this check's rule spoke.")] = None,
    team: Annotated[str | None, typer.Option(help="Asked for by this team.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Decided in this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the assets of the catalog, the newest version of each name first."""
    from app.show import show_assets

    with doors(as_json):
        found = _catalog(Settings()).find_assets(
            name_glob=name, status=status, model=model, rule=rule, team=team, run_id=run_id,
            limit=limit,
        )  # fmt: skip
        if as_json:
            print_json([record.as_json() for record in found])
        else:
            show_assets(found)


@atelier.command()
def show(
    reference: Annotated[str, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")],
    as_json: AsJson = False,
) -> None:
    """Show one asset: its files, its scores, the rules that spoke, and where it comes from."""
    from app.show import show_asset

    with doors(as_json):
        name, _, version = reference.partition("@")
        record = _catalog(Settings()).asset(name, version or None)
        answer(record, as_json, show_asset)


@atelier.command()
def export(
    to: Annotated[Path, typer.Option(help="The folder to write into; made when needed.")],
    name: Annotated[str, typer.Option(help="Names by glob: potion.*")] = "*",
    as_json: AsJson = False,
) -> None:
    """Copy the accepted assets' newest files out of the store, each verified by its digest."""
    from app.export import export as export_assets
    from app.show import show_exported
    from app.store.publish import open_store

    with doors(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        answer(export_assets(store, to, name_glob=name), as_json, show_exported)


def _catalog(settings: Settings) -> "Catalog":
    from app.store.catalog import Catalog

    return Catalog.open(settings.catalog)


def main() -> None:
    """The console entry point."""
    atelier()
