"""`atelier checks ...`: labels, the calibrations learned from them, and reports on acceptance."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest
from app.settings import Settings

checks = typer.Typer(
    help="What is accepted without a person, by what people said before.", no_args_is_help=True
)

CalibrationArgument = Annotated[
    str,
    typer.Argument(help="A calibration by its digest, or the beginning.", metavar="CALIBRATION"),
]
FalseAccepts = Annotated[
    float,
    typer.Option(min=0.0001, max=0.5, help="Bad pictures tolerated among the accepted: 0.01."),
]
Confidence = Annotated[
    float, typer.Option(min=0.5, max=0.999, help="How surely the rates must be kept.")
]
FalseRejects = Annotated[
    float, typer.Option(min=0.0001, max=0.5, help="Good ones tolerated among the refused.")
]


@checks.command(epilog="Example: atelier checks label potion.red good")
def label(
    reference: Annotated[str, typer.Argument(help="NAME or NAME@VERSION", metavar="NAME")],
    says: Annotated[str, typer.Argument(help="good or bad", metavar="good|bad")],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record whether an asset's image may be shipped; the newest label decides.

    The asset is accepted or rejected from now on: the next run of its plan packs it or leaves it
    out.
    """
    from app.cli.render.checks import LabelResult, show_label
    from app.flow.override import override
    from app.store.publish import open_store

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        name, _, version = reference.partition("@")
        record = store.catalog.asset(name, version or None)
        label, decided = override(
            store, record, _parse_label(says), reviewer=settings.user, reason=reason
        )
        print_result(LabelResult(**dict(label), status=decided.status), as_json, show_label)


@checks.command(epilog="Example: atelier checks due --limit 20")
def due(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="The part of each run to be spot checked.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """List what people should look at next; labelled in this order, it is a random sample."""
    from app.accept.labels import list_labels
    from app.accept.report import pending_labels as due_of
    from app.cli.render.checks import show_pending
    from app.store.catalog import Catalog
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        known = {label.asset for label in list_labels(catalog)}
        print_results(
            due_of(latest_verdicts(catalog), known, share=share)[:limit], as_json, show_pending
        )


@checks.command(epilog="Example: atelier checks calibrate --false-accepts 0.05")
def calibrate(
    file: Annotated[
        Path | None, typer.Option("--from", help="Labelled scores as JSONL, beside the catalog's.")
    ] = None,
    false_accepts: FalseAccepts = 0.01,
    confidence: Confidence = 0.9,
    false_rejects: FalseRejects = 0.05,
    reviewer_errors: Annotated[
        float, typer.Option(min=0, max=0.45, help="How often reviewers err; see checks report.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Learn a calibration from the labels. It decides nothing until promoted."""
    from datetime import UTC, datetime

    from app.accept.calibrate import catalog_labels, file_labels
    from app.accept.calibration import calibrate as calibration_of
    from app.accept.promoted_calibration import keep_calibration
    from app.cli.render.checks import CalibrationResult, show_calibration
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        labelled = catalog_labels(catalog) + (file_labels(file) if file else [])
        if not labelled:
            raise InvalidRequest(
                "no picture is labelled yet; list what to look at with atelier checks due, and "
                "say what you see with atelier checks label NAME good"
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
    """Make a calibration decide, from the next run on, where plans say accept."""
    from app.accept.promoted_calibration import promote as promote_calibration
    from app.cli.render.checks import LiveCalibration, show_live_calibration
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        now = LiveCalibration(digest=promote_calibration(catalog, reference))
        print_result(now, as_json, show_live_calibration)


@checks.command(epilog="Example: atelier checks back")
def back(as_json: AsJson = False) -> None:
    """Undo the last change of which calibration decides."""
    from app.accept.promoted_calibration import roll_back as step_back
    from app.cli.render.checks import LiveCalibration, show_live_calibration
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        now = LiveCalibration(digest=step_back(Catalog.open(Settings().catalog)))
        print_result(now, as_json, show_live_calibration)


@checks.command(name="list", epilog="Example: atelier checks list")
def list_calibrations(as_json: AsJson = False) -> None:
    """List the calibrations, which of them decides, and every change of that."""
    from app.accept.promoted_calibration import CALIBRATION, history, live_digest
    from app.cli.render.checks import CalibrationList, show_calibrations
    from app.store.catalog import Catalog
    from app.store.documents import newest

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        listing = CalibrationList(
            live=live_digest(catalog),
            kept=newest(catalog, CALIBRATION),
            changes=tuple(history(catalog)),
        )
        print_result(listing, as_json, show_calibrations)


@checks.command(epilog="Example: atelier checks brand jobs/plans/tavern.yaml")
def brand(
    plan: Annotated[Path, typer.Argument(help="A plan file that has a brand.", dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """List the rules of a plan's brand, each with the one check that measures it."""
    from app.cli.render.checks import show_brand
    from app.plan.brand import brand_rules
    from app.plan.read import read_plan

    with exit_codes(as_json):
        rules = brand_rules(read_plan(plan).brand)
        if not rules:
            raise InvalidRequest(f"{plan} has no brand; write brand: brands/tavern.yaml, say")
        print_results(rules, as_json, show_brand)


@checks.command(epilog="Example: atelier checks drift")
def drift(
    run: Annotated[str, typer.Argument(help="A run; without one the latest.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check whether a run's images drift from those of its plan's earlier runs, and from when on.

    Exit codes: 0 all measures stay in their bands, 1 one left.
    """
    from app.accept.drift import drift as drift_of
    from app.accept.outputs import latest_run, run_and_baseline
    from app.cli.output import FAILED
    from app.cli.render.checks import DriftResult, show_drift
    from app.monitor.alerts import drift_alert
    from app.store.publish import open_store

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        run_id = run or latest_run(store)
        drift_report = drift_of(*run_and_baseline(store, run_id))
        names = [measure_drift.measure for measure_drift in drift_report.drifted]
        after = drift_report.drifted[0].left_at or 0 if drift_report.drifted else 0
        alert = drift_alert(run_id, measures=names, after=after)
        print_result(
            DriftResult(run_id=run_id, alert=alert, report=drift_report), as_json, show_drift
        )
    if drift_report.drifted:
        raise typer.Exit(FAILED)


@checks.command(epilog="Example: atelier checks distance starter-icons/1 polish-icons/1")
def distance(
    first: Annotated[str, typer.Argument(help="A run, or a model version.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Another one.", metavar="B")],
    as_json: AsJson = False,
) -> None:
    """Measure the Fréchet distance between the images of two runs, or of two model versions."""
    from app.accept.distance import measure_distance as distance_of
    from app.accept.outputs import latest_outputs
    from app.cli.render.checks import show_distance
    from app.store.publish import open_store

    with exit_codes(as_json):
        settings = Settings()
        store = open_store(settings.blobs, settings.catalog)
        result = distance_of(latest_outputs(store, first), latest_outputs(store, second))
        print_result(result, as_json, show_distance)


@checks.command(epilog="Example: atelier checks report --runs 3")
def report(
    runs: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 3,
    false_accepts: FalseAccepts = 0.01,
    confidence: Confidence = 0.9,
    as_json: AsJson = False,
) -> None:
    """Show what was accepted, bad images found by spot checks, reviewers' agreement, and shift."""
    from app.accept.report import checks_report
    from app.cli.render.checks import show_report
    from app.plan.schema import AcceptPlan
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        terms = AcceptPlan(false_accepts=false_accepts, confidence=confidence)
        checks = checks_report(Catalog.open(Settings().catalog), terms, runs=runs)
        print_result(checks, as_json, show_report)


def _parse_label(text: str) -> Literal["good", "bad"]:
    match text:
        case "good" | "bad":
            return text
    raise InvalidRequest(f"{text!r} is no label; write good or bad")
