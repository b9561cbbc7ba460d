"""How the open doors of a cluster's profile are said to a person."""

from rich.console import Console
from rich.table import Table

from jobs.bench.cluster.exposure import HEALTH, Exposure, reason
from jobs.bench.cluster.port_scan import Door


def show_exposure(exposure: Exposure, out: Console) -> None:
    """A row for each socket, and then what is open beside health, and why."""
    table = Table(
        "process", "listens at", "who reaches it", "speaks", "refused", "absent", "health",
        "stated", "beyond", box=None,
    )  # fmt: skip
    for door in exposure.doors:
        table.add_row(*_row(exposure, door))
    out.print(
        f"nobody's calls: {exposure.routes} routes; the token's file has mode {exposure.token_mode}"
    )
    out.print(table)
    stated = {reason(name) for door in exposure.doors for name in door.opened} - {""}
    for why in sorted(stated):
        out.print(f"stated: {why}")
    for door in exposure.doors:
        for name in exposure.beyond(door):
            out.print(f"[bold red]open at {door.address}:{door.port}, {door.process}: {name}[/]")


def _row(exposure: Exposure, door: Door) -> list[str]:
    health = sum(name in HEALTH for name in door.opened)
    stated = sum(bool(reason(name)) for name in door.opened)
    counts = (door.refused, door.absent, health, stated, len(exposure.beyond(door)))
    where = f"{door.address}:{door.port}"
    return [door.process, where, door.reach, door.speaks, *map(str, counts)]
