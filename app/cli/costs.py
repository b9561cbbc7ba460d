"""`atelier costs`: what was spent, by team, run, model or asset."""

import re
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import FAILED, AsJson, exit_codes, print_result
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.costs import CostGroup

_DATE = re.compile(r"(\d{4}(-\d\d(-\d\d(T[\d:.]+Z?)?)?)?)?")


def costs(
    by: Annotated[
        CostGroup, typer.Option(help="What to tell the costs apart by.")
    ] = CostGroup.TEAM,
    since: Annotated[
        str, typer.Option(help="Only attempts that ended then or later: 2026-11 or 2026-11-21.")
    ] = "",
    bill: Annotated[
        Path | None, typer.Option(help="Hold a provider's bill against it: CSV with key, usd.")
    ] = None,
    model: Annotated[str, typer.Option(help="With --bill: whose calls, as in poster/1.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what was spent, per asset and per accepted asset too; the groups add up to the total.

    With --bill, list the calls of a model for which the provider charged another price than was
    booked; calls are matched by idempotency key, the image's key. Exit code 1 when any differ.
    """
    from app.cli.render.costs import show_bill, show_costs
    from app.costs.invoice import reconcile
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        if not _DATE.fullmatch(since):
            raise InvalidRequest(f"--since {since!r} is no date; write 2026, 2026-11 or 2026-11-21")
        catalog = Catalog.open(Settings().catalog)
        if bill is None:
            print_result(catalog.costs(by, since=since), as_json, show_costs)
            return
        if not model:
            raise InvalidRequest("--bill needs --model with the version that was charged: poster/1")
        reconciliation = reconcile(catalog, bill, model, since=since)
        print_result(reconciliation, as_json, show_bill)
    raise typer.Exit(0 if reconciliation.agrees else FAILED)
