"""`atelier top` and `atelier report`: what is under way now, and how well runs went."""

import os
import re
import signal
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.output import AsJson, exit_codes, print_json, print_result
from app.digest import Json
from app.errors import InvalidRequest
from app.settings import Settings

if TYPE_CHECKING:
    from app.monitor.service_metrics import ServiceSnapshot
    from app.monitor.top import TopReader

REFRESH_SECONDS = 1.0
SERVICE = "http://127.0.0.1:8000"
_DATE = re.compile(r"(\d{4}(-\d\d(-\d\d(T[\d:.]+Z?)?)?)?)?")


def top(
    once: Annotated[bool, typer.Option("--once", help="Show one frame and end.")] = False,
    service: Annotated[
        str, typer.Option(help="A service to look at too; its key: ATELIER_KEY.", metavar="URL")
    ] = SERVICE,
    as_json: AsJson = False,
) -> None:
    """Show the runs under way and a service, as they change, until Ctrl-C.

    By model: images and their rate, statuses, the rules broken, cost; then budgets and alerts. With
    --json, or without a terminal, one frame is printed.
    """
    from app.cli.output import make_console
    from app.cli.render.top import screen
    from app.monitor.top import open_top as look_at

    with exit_codes(as_json):
        _check_url(service)
        watched, out = look_at(Settings()), make_console()
        if as_json:
            print_json(_document(watched, service))
        elif once or not out.is_terminal:
            out.print(screen(watched.frame(), _served(service)))
        else:
            _follow(watched, service)


def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="One run; else the latest 20.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only runs that began then or later: 2026-11 or 2026-11-21.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show how runs went: images per hour, errors, cost per image, time until delivery.

    Also what was not accepted, by day, model and rule.
    """
    from app.cli.render.top import show_report
    from app.monitor.report import report as report_of
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        if not _DATE.fullmatch(since):
            raise InvalidRequest(f"--since {since!r} is no date; write 2026, 2026-11 or 2026-11-21")
        catalog = Catalog.open(Settings().catalog)
        print_result(report_of(catalog, run_id, since=since), as_json, show_report)


def _follow(watched: "TopReader", service: str) -> None:
    """Shows a frame each second on its own screen, until Ctrl-C.

    The signal sets a flag: a KeyboardInterrupt that is raised inside a callback of a library is
    lost, and the screen would go on.
    """
    from rich.live import Live

    from app.cli.output import make_console
    from app.cli.render.top import screen

    stopped = Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        with Live(console=make_console(), auto_refresh=False, screen=True) as live:
            while not stopped.is_set():
                live.update(screen(watched.frame(), _served(service)), refresh=True)
                stopped.wait(REFRESH_SECONDS)
    finally:
        signal.signal(signal.SIGINT, before)


def _document(watched: "TopReader", service: str) -> Json:
    snapshot = _served(service)
    return {**watched.frame().as_json(), "service": snapshot.as_json() if snapshot else None}


def _served(url: str) -> "ServiceSnapshot | None":
    from app.monitor.service_metrics import read_service

    return read_service(url.rstrip("/"), key=os.environ.get("ATELIER_KEY", ""))


def _check_url(url: str) -> None:
    if not re.match(r"https?://[^/?#]+/?$", url):
        raise InvalidRequest(f"--service {url!r} is no address; write {SERVICE}")
