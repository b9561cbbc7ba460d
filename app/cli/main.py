"""`atelier ...`: thin commands; the work is done in the modules they call.

Nothing heavy is imported here: help and plans answer without loading a model or Ray.
"""

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.checks import checks
from app.cli.costs import costs
from app.cli.forward import FORWARDED, RUNS, SERVICE, forwarded, replace_process
from app.cli.keys import keys
from app.cli.models import models
from app.cli.output import (
    AllowLarge,
    AsJson,
    exit_codes,
    print_json,
    print_result,
    print_results,
)
from app.cli.policy import explain, policy
from app.cli.runs import runs
from app.cli.top import report, top
from app.environment import use_strict_blas
from app.errors import InvalidRequest
from app.plan.json_schema import plan_schema
from app.settings import Settings
from app.types import Measure, Status

if TYPE_CHECKING:
    from app.store.catalog import Catalog

MAKE, LOOK, SERVE = "Make images", "Look at what was made", "Serve previews"
MODELS, MONEY, CLUSTER = "Models and checks", "Money", "Cluster"

atelier = typer.Typer(
    help="Turn a plan of image assets into finished, checked, packed files.",
    no_args_is_help=True,
)


def _forward(module: str, name: str, summary: str, panel: str) -> None:
    command = atelier.command(name, rich_help_panel=panel, context_settings=FORWARDED)
    command(forwarded(module, name, summary))


@atelier.command(
    rich_help_panel=MAKE,
    short_help="Check PLAN; say what exists and what the rest costs.",
    epilog="Example: atelier plan jobs/plans/icons.yaml",
)
def plan(
    path: Annotated[
        Path | None, typer.Argument(help="The plan, a YAML file.", metavar="PLAN")
    ] = None,
    allow_large: AllowLarge = False,
    stages: Annotated[
        bool, typer.Option("--stages", help="Print the graph of stages with their resources.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of plans, for editors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what PLAN asks for, what is already made, and what the rest may take. Makes nothing."""
    with exit_codes(as_json):
        if schema:
            return print_json(plan_schema())
        if path is None:
            raise InvalidRequest("no PLAN is named; give a plan file, or --schema")
        if stages:
            options = ["--allow-large"] * allow_large + ["--json"] * as_json
            replace_process(RUNS, "stages", str(path), *options)
        _print_forecast(path, allow_large, as_json)


def _print_forecast(path: Path, allow_large: bool, as_json: bool) -> None:
    from app.cli.render.assets import show_forecast
    from app.costs.forecast import forecast_plan
    from app.fleet.prices import price_sheet
    from app.plan.expand import expand_variants
    from app.plan.read import read_plan
    from app.registry.references import available_models, pin_references

    settings = Settings()
    models = available_models(settings)
    read = read_plan(path, allow_large=allow_large, models=models)
    written = pin_references(read, models, settings)
    forecast = forecast_plan(
        written.name,
        list(expand_variants(written, models)),
        models,
        _catalog(settings),
        workers=os.cpu_count() or 1,
        prices=price_sheet(settings),
        budget=written.budget,
        terms=written.route,
    )
    print_result(forecast, as_json, show_forecast)


_forward(RUNS, "run", "Make PLAN; what exists is reused, what was stopped goes on.", MAKE)
_forward(RUNS, "generate", "Only render PLAN's images; check and finish them later.", MAKE)
_forward(RUNS, "recheck", "Judge the images of RUN again by other rules.", MAKE)
_forward(RUNS, "refinish", "Finish the images that RUN chose at other sizes.", MAKE)
_forward(RUNS, "repack", "Pack what RUN accepted with other options.", MAKE)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="List the assets of the catalog.",
    epilog="Example: atelier assets --status accepted --team heroes",
)
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
    from app.cli.render.assets import show_assets
    from app.store.pointers import resolved

    with exit_codes(as_json):
        catalog = _catalog(Settings())
        records = catalog.find_assets(
            name_glob=name, status=status, model=model and resolved(catalog, model), rule=rule,
            team=team, run_id=run_id, limit=limit,
        )  # fmt: skip
        print_results(records, as_json, show_assets)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Show one asset: files, scores, rules, origin.",
    epilog="Example: atelier show potion",
)
def show(
    reference: Annotated[str, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")],
    as_json: AsJson = False,
) -> None:
    """Show one asset: its files, its scores, the rules it broke, and its provenance."""
    from app.cli.render.assets import show_asset

    with exit_codes(as_json):
        name, _, version = reference.partition("@")
        record = _catalog(Settings()).asset(name, version or None)
        print_result(record, as_json, show_asset)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Copy accepted files out, each verified.",
    epilog="Example: atelier export --to export --name 'potion.*'",
)
def export(
    to: Annotated[Path, typer.Option(help="The folder to write into; made when needed.")],
    name: Annotated[str, typer.Option(help="Names by glob: potion.*")] = "*",
    as_json: AsJson = False,
) -> None:
    """Copy the accepted assets' newest files out of the store, each verified by its digest."""
    from app.assets.export import export as export_assets
    from app.cli.render.assets import show_exported
    from app.store.publish import open_store

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        print_result(export_assets(store, to, name_glob=name), as_json, show_exported)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Render assets again and say what differs, and why.",
    epilog="Example: atelier replay --where model=starter-icons/1",
)
def replay(
    reference: Annotated[
        str | None, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="A set instead: name=GLOB, status=, model=, rule=, team=, run=; repeat."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Levels of 255 (root mean square) that count as the same.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Render assets again from their provenance alone and show what differs, and why.

    Nothing is stored. Exit code 1 when any differs beyond the tolerance.
    """
    from app.assets.replay import ReplayResult, ReplayVerdict
    from app.assets.replay import replay as replay_assets
    from app.assets.select import select_assets
    from app.cli.render.runs import show_replay
    from app.generate.renderer import open_reproducing_renderer
    from app.registry.references import available_models
    from app.store.publish import open_store

    results: list[ReplayResult] = []
    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        records = select_assets(store.catalog, reference, where or [])
        load = partial(open_reproducing_renderer, settings=settings, store=store)
        for result in replay_assets(
            records, available_models(settings), store, load, tolerance=tolerance
        ):
            results.append(result)
            if not as_json:
                show_replay(result)
        if as_json:
            print_json([result.as_json() for result in results])
    raise typer.Exit(int(any(result.sameness is ReplayVerdict.DIFFERS for result in results)))


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Hash every file again; --repair makes good what it can.",
    epilog="Example: atelier verify --repair",
)
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make again what is reproducible and put it back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hash every stored file again and compare the catalog with the store.

    Exit code 1 and a list when anything is not as it was committed or, with --repair, when anything
    could not be repaired.
    """
    from app.assets.repair import repair as repair_all
    from app.cli.render.runs import show_differences, show_repairs
    from app.generate.renderer import open_reproducing_renderer
    from app.registry.references import available_models
    from app.store.publish import open_store
    from app.store.verify import verify as verify_all

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        differences = verify_all(store)
        if not repair:
            print_results(differences, as_json, show_differences)
            raise typer.Exit(int(bool(differences)))
        load = cache(partial(open_reproducing_renderer, settings=settings, store=store))
        repairs = list(repair_all(differences, available_models(settings), store, load))
        print_results(repairs, as_json, show_repairs)
        raise typer.Exit(int(any(repair.left for repair in repairs)))


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Remove what dead workers left.",
    epilog="Example: atelier sweep --dry-run",
)
def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="Files that nothing names are kept so long.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Remove what dead workers left: unfinished files, old leases, files that no row names."""
    from app.cli.render.runs import show_sweep
    from app.store.publish import open_store
    from app.store.sweep import sweep as sweep_store

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        swept = sweep_store(store, grace_seconds=grace_hours * 3600, dry_run=dry_run)
        print_result(swept, as_json, show_sweep)


atelier.add_typer(runs, name="runs", rich_help_panel=LOOK, invoke_without_command=True)
atelier.command(
    rich_help_panel=LOOK,
    short_help="Say why an asset was made by its model.",
    epilog="Example: atelier explain potion",
)(explain)
atelier.command(
    rich_help_panel=LOOK,
    short_help="Pace, errors, cost and delivery times of runs.",
    epilog="Example: atelier report --since 2026-11",
)(report)
atelier.command(
    rich_help_panel=LOOK,
    short_help="Show the runs under way and a service, live.",
    epilog="Example: atelier top --once",
)(top)
_forward(SERVICE, "serve", "Keep models warm behind HTTP on this machine.", SERVE)
atelier.add_typer(keys, name="keys", rich_help_panel=SERVE)
atelier.add_typer(models, name="models", rich_help_panel=MODELS)
_forward(RUNS, "bench", "Compare models: time, quality, cost, with pictures.", MODELS)
atelier.add_typer(policy, name="policy", rich_help_panel=MODELS)
atelier.add_typer(checks, name="checks", rich_help_panel=MODELS)
atelier.command(
    rich_help_panel=MONEY,
    short_help="Say what was spent, by team, run, model or asset.",
    epilog="Example: atelier costs --by model --since 2026-11",
)(costs)
_forward(RUNS, "submit", "Make PLAN on a Ray cluster and follow it.", CLUSTER)
_forward(RUNS, "floor", "Keep machines ready in the windows of a file.", CLUSTER)


def _catalog(settings: Settings) -> "Catalog":
    from app.store.catalog import Catalog

    return Catalog.open(settings.catalog)


def main() -> None:
    """Runs the command line; the entry point of the console script."""
    use_strict_blas()
    atelier()
