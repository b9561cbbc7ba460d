"""`atelier checks ...`: labels, the calibrations learned from them, and reports on acceptance."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.input import open_catalog, open_store, read_settings
from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest

checks = typer.Typer(
    help="Label images, and calibrate their acceptance without a person.", no_args_is_help=True
)

CalibrationArgument = Annotated[
    str,
    typer.Argument(help="Its digest, or the first characters.", metavar="CALIBRATION"),
]
FalseAccepts = Annotated[
    float,
    typer.Option(min=0.0001, max=0.5, help="Tolerated share of bad images accepted."),
]
Confidence = Annotated[
    float, typer.Option(min=0.5, max=0.999, help="The confidence with which the rates hold.")
]
FalseRejects = Annotated[
    float, typer.Option(min=0.0001, max=0.5, help="Tolerated share of good images refused.")
]


@checks.command(epilog="Example: atelier checks label potion.red good")
def label(
    reference: Annotated[str, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")],
    verdict: Annotated[str, typer.Argument(help="good or bad", metavar="good|bad")],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record whether an asset's image may be shipped; the newest label decides.

    The asset is accepted or rejected from now on: the next run of its plan packs it or leaves it
    out.
    """
    from app.assets.select import find_asset
    from app.cli.render.checks import LabelResult, show_label
    from app.flow.override import override

    with exit_codes(as_json):
        store = open_store()
        record = find_asset(store.catalog, reference)
        label, decided = override(
            store, record, _parse_label(verdict), reviewer=read_settings().user, reason=reason
        )
        print_result(LabelResult(**dict(label), status=decided.status), as_json, show_label)


@checks.command(epilog="Example: atelier checks due --limit 20")
def due(
    limit: Annotated[int, typer.Option(min=1, help="The most assets to list.")] = 20,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="The share of each run to be spot-checked.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """List the assets to label next; labelled in this order, they are a random sample."""
    from app.accept.labels import list_labels
    from app.accept.report import pending_labels
    from app.cli.render.checks import show_pending
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = open_catalog()
        known = {label.asset for label in list_labels(catalog)}
        pending = pending_labels(latest_verdicts(catalog), known, share=share)
        print_results(pending[:limit], as_json, show_pending)


@checks.command(epilog="Example: atelier checks calibrate --false-accepts 0.05")
def calibrate(
    file: Annotated[
        Path | None, typer.Option("--from", help="More labelled scores, as JSONL.")
    ] = None,
    false_accepts: FalseAccepts = 0.01,
    confidence: Confidence = 0.9,
    false_rejects: FalseRejects = 0.05,
    reviewer_errors: Annotated[
        float, typer.Option(min=0, max=0.45, help="Reviewers' error rate; see checks report.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Learn a calibration from the labels. It is not used until it is promoted."""
    from datetime import UTC, datetime

    from app.accept.calibrate import catalog_labels, file_labels
    from app.accept.calibration import calibrate as calibration_of
    from app.accept.promoted_calibration import keep_calibration
    from app.cli.render.checks import CalibrationResult, show_calibration

    with exit_codes(as_json):
        catalog = open_catalog()
        labelled = catalog_labels(catalog) + (file_labels(file) if file else [])
        if not labelled:
            raise InvalidRequest(
                "the catalog has no labelled image; list images with atelier checks due, and "
                "label them with atelier checks label NAME good"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        calibration = calibration_of(labelled, at=now, errors=reviewer_errors)
        limits = calibration.limits(false_accepts, confidence, false_rejects)
        shown = CalibrationResult(
            digest=keep_calibration(catalog, calibration),
            labels=calibration.labels,
            counted=calibration.counted,
            false_accepts=false_accepts,
            confidence=confidence,
            limits=limits,
            sorts={
                f"{reference.model} {reference.style}".strip(): reference.images
                for reference in calibration.references
            },
        )
        print_result(shown, as_json, show_calibration)


@checks.command(epilog="Example: atelier checks promote 3f2a")
def promote(reference: CalibrationArgument, as_json: AsJson = False) -> None:
    """Make a calibration live for all plans that set `accept`, from the next run on."""
    from app.accept.promoted_calibration import promote as promote_calibration
    from app.cli.render.checks import LiveCalibration, show_live_calibration

    with exit_codes(as_json):
        catalog = open_catalog()
        now = LiveCalibration(digest=promote_calibration(catalog, reference))
        print_result(now, as_json, show_live_calibration)


@checks.command(epilog="Example: atelier checks back")
def back(as_json: AsJson = False) -> None:
    """Undo the last change of the calibration in use."""
    from app.accept.promoted_calibration import roll_back
    from app.cli.render.checks import LiveCalibration, show_live_calibration

    with exit_codes(as_json):
        now = LiveCalibration(digest=roll_back(open_catalog()))
        print_result(now, as_json, show_live_calibration)


@checks.command(name="list", epilog="Example: atelier checks list")
def list_calibrations(as_json: AsJson = False) -> None:
    """List the calibrations, the one in use, and every change of it."""
    from app.accept.promoted_calibration import CALIBRATION, history, live_digest
    from app.cli.render.checks import CalibrationList, show_calibrations
    from app.store.documents import newest

    with exit_codes(as_json):
        catalog = open_catalog()
        listing = CalibrationList(
            live=live_digest(catalog),
            kept=newest(catalog, CALIBRATION),
            changes=tuple(history(catalog)),
        )
        print_result(listing, as_json, show_calibrations)


@checks.command(epilog="Example: atelier checks brand jobs/plans/tavern.yaml")
def brand(
    plan: Annotated[Path, typer.Argument(help="A plan file with a brand.", dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """List the rules of a plan's brand, each with the check that measures it."""
    from app.cli.render.checks import show_brand
    from app.plan.brand import brand_rules
    from app.plan.read import read_plan

    with exit_codes(as_json):
        rules = brand_rules(read_plan(plan).brand)
        if not rules:
            raise InvalidRequest(f"{plan} has no brand; add one, as in brand: brands/tavern.yaml")
        print_results(rules, as_json, show_brand)


@checks.command(epilog="Example: atelier checks drift")
def drift(
    run: Annotated[str, typer.Argument(help="A run's id; by default the latest run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check whether a run's images drift from those of its plan's earlier runs, and since when.

    Exit codes: 0 every measure stays within its band, 1 a measure leaves its band.
    """
    from app.accept.drift import drift as measure_drift
    from app.accept.outputs import latest_run, run_and_baseline
    from app.cli.output import FAILED
    from app.cli.render.checks import DriftResult, show_drift
    from app.monitor.alerts import drift_alert

    with exit_codes(as_json):
        store = open_store()
        run_id = run or latest_run(store)
        drift_report = measure_drift(*run_and_baseline(store, run_id))
        names = [drifted.measure for drifted in drift_report.drifted]
        after = drift_report.drifted[0].left_at or 0 if drift_report.drifted else 0
        alert = drift_alert(run_id, measures=names, after=after)
        print_result(
            DriftResult(run_id=run_id, alert=alert, report=drift_report), as_json, show_drift
        )
    if drift_report.drifted:
        raise typer.Exit(FAILED)


@checks.command(epilog="Example: atelier checks distance starter-icons/1 polish-icons/1")
def distance(
    first: Annotated[str, typer.Argument(help="A run or a model version.", metavar="A")],
    second: Annotated[str, typer.Argument(help="The other run or version.", metavar="B")],
    as_json: AsJson = False,
) -> None:
    """Measure the Fréchet distance between the images of two runs, or of two model versions."""
    from app.accept.distance import measure_distance
    from app.accept.outputs import latest_outputs
    from app.cli.render.checks import show_distance

    with exit_codes(as_json):
        store = open_store()
        result = measure_distance(latest_outputs(store, first), latest_outputs(store, second))
        print_result(result, as_json, show_distance)


@checks.command(epilog="Example: atelier checks report --runs 3")
def report(
    runs: Annotated[int, typer.Option(min=1, help="How many of the latest runs.")] = 3,
    false_accepts: FalseAccepts = 0.01,
    confidence: Confidence = 0.9,
    as_json: AsJson = False,
) -> None:
    """Show the shares accepted, bad images found by spot checks, reviewer agreement, and shift."""
    from app.accept.report import checks_report
    from app.cli.render.checks import show_report
    from app.plan.schema import AcceptPlan

    with exit_codes(as_json):
        terms = AcceptPlan(false_accepts=false_accepts, confidence=confidence)
        checks = checks_report(open_catalog(), terms, runs=runs)
        print_result(checks, as_json, show_report)


def _parse_label(text: str) -> Literal["good", "bad"]:
    match text:
        case "good" | "bad":
            return text
    raise InvalidRequest(f"the label {text!r} is unknown; write good or bad")
