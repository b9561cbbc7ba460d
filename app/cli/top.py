"""`atelier top` and `atelier report`: the runs under way, and the results of earlier runs."""

import os
import re
import signal
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.input import open_catalog, parse_since, read_settings
from app.cli.output import AsJson, exit_codes, print_json, print_result
from app.digest import Json
from app.errors import InvalidRequest

if TYPE_CHECKING:
    from app.monitor.service_metrics import ServiceSnapshot
    from app.monitor.top import TopReader

REFRESH_SECONDS = 1.0
SERVICE = "http://127.0.0.1:8000"


def top(
    once: Annotated[bool, typer.Option("--once", help="Show one frame and end.")] = False,
    service: Annotated[
        str, typer.Option(help="Also show this service; its key is ATELIER_KEY.", metavar="URL")
    ] = SERVICE,
    as_json: AsJson = False,
) -> None:
    """Show the runs under way and a service, updated every second, until Ctrl-C.

    By model: images and their rate, statuses, broken rules, cost; then budgets and alerts. With
    --json, or without a terminal, one frame is printed.
    """
    from app.cli.output import make_console
    from app.cli.render.top import screen
    from app.monitor.top import open_top

    with exit_codes(as_json):
        _check_url(service)
        watched, out = open_top(read_settings()), make_console()
        if as_json:
            print_json(_document(watched, service))
        elif once or not out.is_terminal:
            out.print(screen(watched.frame(), _served(service)))
        else:
            _follow(watched, service)


def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's id; by default the latest 20.")
    ] = None,
    since: Annotated[
        str, typer.Option(help="Only runs that began at this date or later: 2026-11-21.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show the results of runs: images per hour, errors, cost per image, time until delivery.

    Also the assets that were not accepted, by day, model and rule.
    """
    from app.cli.render.top import show_report
    from app.monitor.report import report as report_of

    with exit_codes(as_json):
        result = report_of(open_catalog(), run_id, since=parse_since(since))
        print_result(result, as_json, show_report)


def _follow(watched: "TopReader", service: str) -> None:
    """Shows a frame each second on the terminal's alternate screen, until Ctrl-C.

    The signal only sets a flag: a KeyboardInterrupt raised inside a callback of a library would be
    lost, and the display would continue.
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
        raise InvalidRequest(f"--service {url!r} is not a URL; write {SERVICE}")
