"""The command `atelier`: every command calls the module that does the work.

Neither models nor Ray are imported here, so help and plans are quick.
"""

import os
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import typer

from app.cli.checks import checks
from app.cli.costs import costs
from app.cli.forward import FORWARDED, RUNS, SERVICE, forwarded, replace_process
from app.cli.input import open_catalog, open_store, read_settings
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
from app.types import Measure, Status

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
    short_help="Check PLAN; show what exists and what the rest costs.",
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
    """Check PLAN; show which assets exist and estimate the rest's time and cost. Makes nothing."""
    with exit_codes(as_json):
        if schema:
            from app.plan.json_schema import plan_schema

            return print_json(plan_schema())
        if path is None:
            raise InvalidRequest("PLAN is missing; name a plan file, or give --schema")
        if stages:
            options = ["--allow-large"] * allow_large + ["--json"] * as_json
            replace_process(RUNS, "stages", str(path), *options)
        _print_forecast(path, allow_large, as_json)


def _print_forecast(path: Path, allow_large: bool, as_json: bool) -> None:
    from app.cli.render.assets import show_forecast
    from app.costs.forecast import forecast_plan
    from app.flow.prepare import prepare_file

    prepared = prepare_file(path, read_settings(), allow_large=allow_large)
    forecast = forecast_plan(prepared, open_catalog(), workers=os.cpu_count() or 1)
    print_result(forecast, as_json, show_forecast)


_forward(RUNS, "run", "Make PLAN; reuse what exists, continue a stopped run.", MAKE)
_forward(RUNS, "generate", "Only render PLAN's first images; do not check or finish.", MAKE)
_forward(RUNS, "recheck", "Judge the images of RUN again by other rules.", MAKE)
_forward(RUNS, "refinish", "Finish the images of RUN at other sizes.", MAKE)
_forward(RUNS, "repack", "Pack the accepted assets of RUN with other options.", MAKE)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="List the assets of the catalog.",
    epilog="Example: atelier assets --status accepted --team heroes",
)
def assets(
    name: Annotated[str, typer.Option(help="Only matching names: potion.*")] = "*",
    status: Annotated[Status | None, typer.Option(help="Only with this status.")] = None,
    model: Annotated[str | None, typer.Option(help="Only of this model: starter-icons/1")] = None,
    rule: Annotated[
        Measure | None, typer.Option(help="Only with a broken rule of this check.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Only requested by this team.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Only decided in this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most assets to list.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """List the assets of the catalog, the newest version of each name first."""
    from app.cli.render.assets import show_assets
    from app.store.pointers import resolved

    with exit_codes(as_json):
        catalog = open_catalog()
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
    from app.assets.select import find_asset
    from app.cli.render.assets import show_asset

    with exit_codes(as_json):
        print_result(find_asset(open_catalog(), reference), as_json, show_asset)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Copy accepted files to a folder, each verified.",
    epilog="Example: atelier export --to export --name 'potion.*'",
)
def export(
    to: Annotated[Path, typer.Option(help="The folder for the copies; created if missing.")],
    name: Annotated[str, typer.Option(help="Only matching names: potion.*")] = "*",
    as_json: AsJson = False,
) -> None:
    """Copy the newest files of accepted assets to a folder, each verified by its digest."""
    from app.assets.export import export as export_assets
    from app.cli.render.assets import show_exported

    with exit_codes(as_json):
        store = open_store()
        print_result(export_assets(store, to, name_glob=name), as_json, show_exported)


@atelier.command(
    rich_help_panel=LOOK,
    short_help="Render assets again and show what differs, and why.",
    epilog="Example: atelier replay --where model=starter-icons/1",
)
def replay(
    reference: Annotated[
        str | None, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="In place of NAME: name=GLOB, status=, model=, rule=, team=, run=."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest RMS difference, in levels of 255.")
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

    results: list[ReplayResult] = []
    with exit_codes(as_json):
        settings, store = read_settings(), open_store()
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
    short_help="Hash every file again; --repair restores damaged files.",
    epilog="Example: atelier verify --repair",
)
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged files again and restore them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hash every stored file again and compare the catalog with the store.

    Exit code 1 and a list when anything differs from what was committed or, with --repair, when
    anything could not be repaired.
    """
    from app.assets.repair import repair as repair_all
    from app.cli.render.runs import show_differences, show_repairs
    from app.generate.renderer import open_reproducing_renderer
    from app.registry.references import available_models
    from app.store.verify import verify as verify_all

    with exit_codes(as_json):
        settings, store = read_settings(), open_store()
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
    short_help="Remove unfinished files of dead workers.",
    epilog="Example: atelier sweep --dry-run",
)
def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files.")] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="Keep unreferenced files this long.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Remove unfinished files and old leases of dead workers, and files without a catalog row."""
    from app.cli.render.runs import show_sweep
    from app.store.sweep import sweep as sweep_store

    with exit_codes(as_json):
        store = open_store()
        swept = sweep_store(store, grace_seconds=grace_hours * 3600, dry_run=dry_run)
        print_result(swept, as_json, show_sweep)


atelier.add_typer(runs, name="runs", rich_help_panel=LOOK, invoke_without_command=True)
atelier.command(
    rich_help_panel=LOOK,
    short_help="Show why an asset was made by its model.",
    epilog="Example: atelier explain potion",
)(explain)
atelier.command(
    rich_help_panel=LOOK,
    short_help="Show rate, errors, cost and delivery times of runs.",
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
_forward(RUNS, "bench", "Compare models: time, quality, cost, with images.", MODELS)
atelier.add_typer(policy, name="policy", rich_help_panel=MODELS)
atelier.add_typer(checks, name="checks", rich_help_panel=MODELS)
atelier.command(
    rich_help_panel=MONEY,
    short_help="Show the costs by team, run, model or asset.",
    epilog="Example: atelier costs --by model --since 2026-11",
)(costs)
_forward(RUNS, "submit", "Make PLAN on a Ray cluster and follow it.", CLUSTER)
_forward(RUNS, "floor", "Keep machines ready in the windows of a file.", CLUSTER)


def main() -> None:
    """Runs the command line; the entry point of the console script."""
    use_strict_blas()
    atelier()
