"""`atelier costs`: what was spent, by team, run, model or asset."""

import re
from typing import Annotated

import typer

from app.doors import AsJson, answer, doors
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.costs import By

_DATE = re.compile(r"(\d{4}(-\d\d(-\d\d(T[\d:.]+Z?)?)?)?)?")


def costs(
    by: Annotated[By, typer.Option(help="What to tell the costs apart by.")] = By.TEAM,
    since: Annotated[
        str, typer.Option(help="Only attempts that ended then or later: 2026-11 or 2026-11-21.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say what was spent, per asset and per accepted asset too; the groups add up to the total."""
    from app.show_costs import show_costs
    from app.store.catalog import Catalog

    with doors(as_json):
        if not _DATE.fullmatch(since):
            raise InvalidRequest(f"--since {since!r} is no date; write 2026, 2026-11 or 2026-11-21")
        answer(Catalog.open(Settings().catalog).costs(by, since=since), as_json, show_costs)
