"""The Grafana dashboard; run as a module it writes `grafana/atelier.json`.

It is generated so that every panel has a unit, a description and the same options.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.digest import Json

FILE = Path(__file__).parents[1] / "grafana" / "atelier.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
ERRORS = "generation_failed|internal_error|no_capacity|deadline_exceeded"
MADE = 'atelier_images_total{ending=~"made|second",model=~"$model"}'
TRIED = 'atelier_images_total{model=~"$model"}'
FAILED = 'atelier_images_total{ending=~"failed|lost",model=~"$model"}'
COST = 'atelier_cost_usd_total{model=~"$model"}'
FINAL = 'atelier_assets{status=~"accepted|review|rejected",model=~"$model"}'
ACCEPTED = 'atelier_assets{status="accepted",model=~"$model"}'
CALLS = "sum by (le) (rate(atelier_request_seconds_bucket[10m]))"
PanelKind = Literal["stat", "timeseries", "bargauge"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title, description, unit and queries."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    """Pairs of legend and PromQL."""
    kind: PanelKind = "timeseries"
    width: int = 8
    stacked: bool = False
    limits: tuple[tuple[str, float | None], ...] = (("green", None),)
    """Colours and the value from which each applies; the first applies below all values."""


OVERVIEW = (
    Panel(
        "Images an hour", "Images made by runs, at the rate of the last ten minutes.", "short",
        (("", f"3600 * sum(rate({MADE}[10m]))"),), "stat", 4,
    ),
    Panel(
        "Errors", "Share of the attempts of the last hour that failed.", "percent",
        (("", f"100 * sum(increase({FAILED}[1h])) / sum(increase({TRIED}[1h]))"),), "stat", 4,
        limits=(("green", None), ("orange", 2), ("red", 10)),
    ),
    Panel(
        "Cost an image", "Cost of the last hour, including failed attempts, per image made.",
        "currencyUSD", (("", f"sum(increase({COST}[1h])) / sum(increase({MADE}[1h]))"),), "stat", 4,
    ),
    Panel(
        "From call to delivery", "Latency of the service's calls; for runs of plans see "
        "atelier report.", "s",
        (("median", f"histogram_quantile(0.5, {CALLS})"),
         ("95th percentile", f"histogram_quantile(0.95, {CALLS})")),
        "stat", 6,
    ),
    Panel(
        "Budget left", "The budget with the smallest share left.", "percentunit",
        (("{{scope}} {{name}}", "bottomk(1, atelier_budget_left_usd / atelier_budget_usd)"),),
        "stat", 3, limits=(("red", None), ("orange", 0.1), ("green", 0.25)),
    ),
    Panel(
        "Open runs", "Running, or killed and not resumed: see atelier top.",
        "short", (("", "atelier_runs_open"),), "stat", 3,
    ),
)  # fmt: skip
MODELS = (
    Panel(
        "Images an hour by model", "From the ledger, of all runs.", "short",
        (("{{model}}", f"3600 * sum by (model) (rate({MADE}[10m]))"),),
    ),
    Panel(
        "Accepted by model", "Share of the assets decided in the last half hour; if it falls while "
        "errors stay low, quality has fallen.", "percentunit",
        (("{{model}}", f"sum by (model) (clamp_min(delta({ACCEPTED}[30m]), 0)) "
          f"/ (sum by (model) (clamp_min(delta({FINAL}[30m]), 0)) > 0)"),),
    ),
    Panel(
        "Errors by model", "Share of the attempts of ten minutes that failed; if it rises while "
        "images are still accepted, it is an outage.", "percentunit",
        (("{{model}}", f"sum by (model) (rate({FAILED}[10m])) "
          f"/ (sum by (model) (rate({TRIED}[10m])) > 0)"),),
    ),
    Panel(
        "Seconds an image by model", "Seconds of generation in the ledger.", "s",
        (("{{model}}",
          'sum by (model) (rate(atelier_generation_seconds_total{model=~"$model"}[10m])) '
          f"/ (sum by (model) (rate({MADE}[10m])) > 0)"),),
    ),
    Panel(
        "Seconds of a preview by model", "Engine seconds, 95th percentile of the service.", "s",
        (("{{model}}", "histogram_quantile(0.95, sum by (model, le) "
          '(rate(atelier_image_seconds_bucket{model=~"$model"}[10m])))'),),
    ),
    Panel(
        "Cost an image by model", "Of the last hour.", "currencyUSD",
        (("{{model}}", f"sum by (model) (increase({COST}[1h])) "
          f"/ (sum by (model) (increase({MADE}[1h])) > 0)"),),
    ),
)  # fmt: skip
DECISIONS = (
    Panel(
        "Assets by status", "Decided within ten minutes.", "short",
        (("{{status}}",
          'sum by (status) (clamp_min(delta(atelier_assets{model=~"$model"}[10m]), 0))'),),
        stacked=True,
    ),
    Panel(
        "Rules not passed", "By assets decided within ten minutes, by measure.", "short",
        (("{{measure}}",
          'sum by (measure) (clamp_min(delta(atelier_findings{model=~"$model"}[10m]), 0))'),),
        stacked=True,
    ),
    Panel(
        "Rules not passed by model", "The ten most frequent in the time range.", "short",
        (("{{model}}: {{measure}} {{verdict}}",
          "topk(10, sum by (model, measure, verdict) "
          '(clamp_min(delta(atelier_findings{model=~"$model"}[$__range]), 0)))'),),
        "bargauge",
    ),
)  # fmt: skip
COSTS = (
    Panel(
        "Cost by team", "In the time range.", "currencyUSD",
        (("{{team}}", f"sum by (team) (increase({COST}[$__range]))"),), "bargauge",
    ),
    Panel(
        "Cost an hour by team", "At the rate of the last hour.", "currencyUSD",
        (("{{team}}", f"3600 * sum by (team) (rate({COST}[1h]))"),), stacked=True,
    ),
    Panel(
        "Budgets", "Left of each: a day's budget for all, a month's for a team.", "currencyUSD",
        (("{{scope}} {{name}}", "atelier_budget_left_usd"),), "bargauge",
        limits=(("red", None), ("green", 0.000001)),
    ),
)  # fmt: skip
SERVICE = (
    Panel(
        "Calls a second", "By outcome: answered, left (the caller disconnected), or an error code.",
        "reqps", (("{{outcome}}", "sum by (outcome) (rate(atelier_requests_total[5m]))"),),
        stacked=True,
    ),
    Panel(
        "Seconds a call", "95th percentile by role.", "s",
        (("{{role}}", "histogram_quantile(0.95, sum by (role, le) "
          "(rate(atelier_request_seconds_bucket[5m])))"),),
    ),
    Panel(
        "Seconds of each stage", "Mean of an image; queue is all waiting.", "s",
        (("{{stage}}", "sum by (stage) (rate(atelier_stage_seconds_sum[5m])) "
          "/ sum by (stage) (rate(atelier_stage_seconds_count[5m]))"),),
        stacked=True,
    ),
    Panel(
        "Replicas", "Running replicas by role.", "short",
        (("{{role}}", "sum by (role) (atelier_replicas)"),),
    ),
    Panel(
        "In flight and waiting",
        "Images by class: interactive calls, runs (bulk), runs through the service (bulk_served).",
        "short",
        (("{{class}} in flight", "sum by (class) (atelier_images_in_flight)"),
         ("{{class}} waiting", "sum by (class) (atelier_images_waiting)")),
    ),
    Panel(
        "Server errors", "Share of the calls that callers did not leave, by role.", "percentunit",
        (("{{role}}", f'sum by (role) (rate(atelier_requests_total{{outcome=~"{ERRORS}"}}[5m])) '
          '/ (sum by (role) (rate(atelier_requests_total{outcome!="left"}[5m])) > 0)'),),
    ),
    Panel(
        "Refused calls", "Calls a second without capacity; bulk calls are sent again.", "reqps",
        (("{{role}} {{outcome}}", "sum by (role, outcome) (rate(atelier_requests_total"
          '{outcome=~"queue_full|no_capacity|too_many_at_once|rate_limit_exceeded"}[5m]))'),
         ("bulk {{role}} {{outcome}}", "sum by (role, outcome) (rate(atelier_bulk_calls_total"
          '{outcome=~"queue_full|no_capacity|too_many_at_once|rate_limit_exceeded"}[5m]))')),
    ),
    Panel(
        "Retries", "Repeated attempts of runs, and calls whose replica died.", "short",
        (("attempts of {{model}}",
          'sum by (model) (increase(atelier_retries_total{model=~"$model"}[10m]))'),
         ("calls of {{role}}", "sum by (role) (increase(atelier_repaints_total[10m]))")),
    ),
    Panel(
        "Cache hits", "Calls answered or continued from memory, and images rendered.", "reqps",
        (("{{cache}}", "sum by (cache) (rate(atelier_cache_hits_total[5m]))"),
         ("images rendered", "sum(rate(atelier_previews_total[5m]))")),
    ),
    Panel(
        "Catalog", "1 if it answers the service, otherwise 0.", "short",
        (("up", "min(atelier_catalog_up)"),), "stat", 4,
        limits=(("red", None), ("green", 1)),
    ),
)  # fmt: skip
ROWS = {
    "Overview": OVERVIEW,
    "By model": MODELS,
    "Decisions": DECISIONS,
    "Cost": COSTS,
    "The service": SERVICE,
}
HEIGHTS: dict[PanelKind, int] = {"stat": 5, "timeseries": 8, "bargauge": 8}


def dashboard() -> dict[str, Json]:
    """Returns the document that Grafana imports."""
    return {
        "uid": "atelier",
        "title": "Atelier",
        "description": "Runs of plans and the preview service: rates, errors, cost, quality.",
        "tags": ["atelier"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source(), _model()]},
        "panels": _panels(),
    }


def _panels() -> list[Json]:
    panels: list[Json] = []
    top = 0
    for title, row in ROWS.items():
        grid = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": grid,
             "collapsed": False, "panels": []}
        )  # fmt: skip
        left, top, height = 0, top + 1, 0
        for panel in row:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            grid = {"x": left, "y": top, "w": panel.width, "h": HEIGHTS[panel.kind]}
            panels.append({"id": len(panels) + 1, "gridPos": grid, **_panel(panel)})
            left, height = left + panel.width, max(height, HEIGHTS[panel.kind])
        top += height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    steps = [{"color": colour, "value": value} for colour, value in panel.limits]
    custom = {"fillOpacity": 15, "showPoints": "never", "lineWidth": 2}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": None if panel.kind == "stat" else 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "color": {"mode": _colours(panel)},
                "custom": custom if panel.kind == "timeseries" else {},
            },
            "overrides": [],
        },
        "options": _options(panel),
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expr, "legendFormat": legend or panel.title,
             "datasource": SOURCE, "instant": panel.kind == "bargauge",
             "range": panel.kind != "bargauge"}
            for index, (legend, expr) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def _colours(panel: Panel) -> str:
    return "palette-classic" if panel.kind == "timeseries" else "thresholds"


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    reduced = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if panel.kind == "stat":
        return reduced | {"colorMode": "value", "graphMode": "area", "textMode": "auto"}
    return reduced | {"orientation": "horizontal", "displayMode": "basic", "showUnfilled": True}


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"}


def _model() -> dict[str, Any]:
    query = "label_values(atelier_images_total, model)"
    return {
        "name": "model",
        "label": "Model",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "model"},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard_json() -> str:
    """Returns the text of `grafana/atelier.json`."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard_json(), encoding="utf-8")
