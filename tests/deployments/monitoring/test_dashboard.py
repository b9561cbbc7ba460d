"""Dashboards and alerts: every metric and label they name is given, every panel is whole, and the
recorded figures exist before something asks for them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import VectorSelector

from deployments.monitoring import dashboard
from deployments.monitoring.metrics import ALL, MetricSpec

RULES = yaml.safe_load((dashboard.FILE.parent / "rules.yaml").read_text())
EVERY_RULE = [rule for group in RULES["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in EVERY_RULE if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in EVERY_RULE if "alert" in rule}
DASHBOARD: dict[str, Any] = json.loads(dashboard.FILE.read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
UNITS = {"short", "percent", "percentunit", "currencyUSD", "s", "reqps"}


def series() -> dict[str, MetricSpec]:
    """Every declared metric by the names its samples have."""
    named: dict[str, MetricSpec] = {}
    for spec in ALL:
        ends = ("_bucket", "_sum", "_count") if spec.kind == "histogram" else ("",)
        named |= {f"{spec.name}{end}": spec for end in ends}
    return named


def selectors(expr: str) -> Iterator[VectorSelector]:
    """What a query reads, by a real parser of PromQL; raises ValueError when it is none."""
    waiting: list[Any] = [promql_parser.parse(_filled(expr))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VectorSelector):
            yield node
            continue
        names = ("expr", "lhs", "rhs", "param", "vector_selector", "vs", "args")
        for part in (getattr(node, name, None) for name in names):
            waiting += part if isinstance(part, list) else [part] if part is not None else []


def _filled(expr: str) -> str:
    """As Grafana sends it."""
    return expr.replace("$__range", "6h").replace("$model", ".*")


def check(expr: str) -> None:
    selected = list(selectors(expr))
    assert selected, expr
    for selector in selected:
        assert selector.name in RECORDED | series().keys(), selector.name
        if selector.name in series():
            allowed = {*series()[selector.name].labels, "le"}
            used = {matcher.name for matcher in selector.matchers.matchers}
            assert used <= allowed, f"{selector.name} has no labels {used - allowed}"


def grouped(expr: str) -> set[str]:
    """The labels that a query tells apart by."""
    groups = re.findall(r"by \(([^)]*)\)", expr)
    return {name.strip() for names in groups for name in names.split(",") if name.strip()}


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_asks_for_what_is_given(rule: dict[str, Any]) -> None:
    check(rule["expr"])
    for text in rule.get("annotations", {}).values():
        named = set(re.findall(r"\$labels\.(\w+)", text))
        assert named <= {label for spec in ALL for label in spec.labels}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_is_given_in_a_unit_and_says_what_it_is(
    panel: dict[str, Any],
) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        check(target["expr"])
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        known = {
            label
            for selector in selectors(target["expr"])
            for label in series()[selector.name].labels
        }
        assert shown <= known
        assert not grouped(target["expr"]) or shown <= grouped(target["expr"])
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["description"].endswith(".")


def test_every_declared_metric_is_shown_or_watched() -> None:
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    asked += [rule["expr"] for rule in EVERY_RULE]
    read = {
        series()[selector.name]
        for expr in asked
        for selector in selectors(expr)
        if selector.name in series()
    }
    assert set(ALL) - read == set()


def test_the_dashboard_is_what_its_builder_says_and_its_panels_do_not_overlap() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.dashboard_json()
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert at["x"] + at["w"] <= dashboard.WIDTH
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_overview_shows_the_four_figures_first() -> None:
    assert [panel["title"] for panel in PANELS[:4]] == [
        "Images an hour",
        "Errors",
        "Cost an image",
        "From call to delivery",
    ]


def test_an_outage_and_a_regression_are_judged_by_different_evidence() -> None:
    def read(alert: str) -> set[str]:
        names, waiting = set(), [ALERTS[alert]["expr"]]
        exprs = {rule["record"]: rule["expr"] for rule in EVERY_RULE if "record" in rule}
        while waiting:
            for selector in selectors(waiting.pop()):
                if selector.name in exprs:
                    waiting.append(exprs[selector.name])
                else:
                    names.add(selector.name)
        return names

    assert read("AtelierBackendOutage") == {"atelier_images_total"}
    assert read("AtelierQualityRegression") == {"atelier_assets"}
    kinds = {alert: rule["labels"]["kind"] for alert, rule in ALERTS.items()}
    assert kinds["AtelierBackendOutage"] == "outage"
    assert kinds["AtelierQualityRegression"] == "regression"
    assert set(kinds.values()) == {"outage", "regression", "budget", "stalled"}
