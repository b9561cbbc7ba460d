"""`atelier costs`: what was spent, by team, run, model or asset."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.input import open_catalog, parse_since
from app.cli.output import FAILED, AsJson, exit_codes, print_result
from app.errors import InvalidRequest
from app.types import CostGroup


def costs(
    by: Annotated[CostGroup, typer.Option(help="How the costs are grouped.")] = CostGroup.TEAM,
    since: Annotated[
        str, typer.Option(help="Only attempts that ended at this date or later: 2026-11-21.")
    ] = "",
    bill: Annotated[
        Path | None, typer.Option(help="Compare with a provider's bill: a CSV of key, usd.")
    ] = None,
    model: Annotated[str, typer.Option(help="With --bill: the model charged: poster/1.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the costs by group, per asset and per accepted asset; the groups add up to the total.

    With --bill, list the calls of a model for which the provider charged another price than was
    recorded; calls are matched by idempotency key, the image's key. Exit code 1 when any differ.
    """
    from app.cli.render.costs import show_bill, show_costs
    from app.costs.invoice import reconcile

    with exit_codes(as_json):
        since, catalog = parse_since(since), open_catalog()
        if bill is None:
            print_result(catalog.costs(by, since=since), as_json, show_costs)
            return
        if not model:
            raise InvalidRequest(
                "--bill needs --model, the model that was charged: --model poster/1"
            )
        reconciliation = reconcile(catalog, bill, model, since=since)
        print_result(reconciliation, as_json, show_bill)
    raise typer.Exit(0 if reconciliation.agrees else FAILED)
