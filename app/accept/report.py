"""Report: the results of acceptance in the latest runs, compared with people's labels."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations
from math import sqrt

from app.accept.calibrate import random_sample_keys
from app.accept.gate import AcceptanceGate, passes_rules
from app.accept.labels import SPOT_CHECKS, Label, latest_labels, list_labels, sampling_key
from app.accept.promoted_calibration import live_digest, read_calibration
from app.accept.risk_bounds import rate_upper_bound
from app.plan.schema import AcceptPlan
from app.store.catalog import Catalog
from app.store.run_statistics import latest_verdicts
from app.types import AssetRecord, Status, Value, Verdict


class RunShares(Value):
    """The status of a run's decided assets before people labelled any."""

    run_id: str
    accepted: int
    review: int
    rejected: int


class Escapes(Value):
    """Bad images among the accepted ones, counted in random spot checks only."""

    checked: int
    bad: int
    at_most: float
    """Upper bound of their rate with the requested confidence; 1 without any check."""


class Agreement(Value):
    """Images that two people labelled, and the error rate that their disagreement implies."""

    pairs: int
    agreed: int
    errors: float | None
    """How often each reviewer errs, assuming equal, independent error rates; None without pairs."""


class ShiftStatus(Value):
    """The shift of the images of one model and style since they were labelled."""

    sort: str
    images: int
    won: float
    alarmed: bool


class PendingLabel(Value):
    """An image that waits for a person's label."""

    name: str
    version: str
    status: Status
    why: str


class ChecksReport(Value):
    """The whole report."""

    calibration: str | None
    runs: tuple[RunShares, ...]
    escapes: Escapes
    agreement: Agreement
    shift: tuple[ShiftStatus, ...]
    due: int
    """Number of images that wait for a person."""


def checks_report(catalog: Catalog, terms: AcceptPlan, *, runs: int = 3) -> ChecksReport:
    """Returns the report on the latest `runs` runs that decided anything."""
    records = latest_verdicts(catalog)
    labelled = latest_labels(list_labels(catalog))
    chosen = list(dict.fromkeys(record.run_id for record in records))[:runs]
    latest = [record for record in records if record.run_id in chosen]
    digest = live_digest(catalog)
    return ChecksReport(
        calibration=digest,
        runs=tuple(_shares(run, latest, labelled) for run in chosen),
        escapes=_escapes(latest, labelled, 1 - terms.confidence),
        agreement=_agreement(labelled.values()),
        shift=_shift(catalog, terms, digest, latest),
        due=len(pending_labels(latest, labelled.keys())),
    )


def pending_labels(
    records: Sequence[AssetRecord], labelled: Iterable[str], *, share: float = SPOT_CHECKS
) -> list[PendingLabel]:
    """Returns what waits for a person, in the order of `sampling_key`: reviews and spot checks."""
    known = frozenset(labelled)
    waiting = {sampling_key(record.key): record for record in records if record.key not in known}
    return [
        PendingLabel(
            name=record.name,
            version=record.version,
            status=record.status,
            why="review" if record.status is Status.REVIEW else "spot check",
        )
        for chance, record in sorted(waiting.items(), key=lambda pair: pair[0])
        if record.status is Status.REVIEW
        or (chance < share and record.report is not None and passes_rules(record.report))
    ]


def _shares(
    run_id: str, records: Iterable[AssetRecord], labelled_keys: Container[str]
) -> RunShares:
    counted = Counter(
        _automatic_status(record, labelled_keys) for record in records if record.run_id == run_id
    )
    return RunShares(
        run_id=run_id,
        accepted=counted[Status.ACCEPTED],
        review=counted[Status.REVIEW],
        rejected=counted[Status.REJECTED],
    )


def _automatic_status(record: AssetRecord, labelled_keys: Container[str]) -> Status:
    """Returns the status that the asset had before any person labelled it."""
    if record.key not in labelled_keys or record.report is None:
        return record.status
    match record.report.verdict:
        case Verdict.ACCEPT:
            return Status.ACCEPTED
        case Verdict.REVIEW:
            return Status.REVIEW
    return Status.REJECTED


def _escapes(
    records: Sequence[AssetRecord], latest: Mapping[str, Mapping[str, Label]], doubt: float
) -> Escapes:
    sample = random_sample_keys(records, latest)
    alone = [record for record in records if _automatic_status(record, latest) is Status.ACCEPTED]
    checked = [record for record in alone if record.key in sample]
    bad = sum(not _newest(latest[record.key]).good for record in checked)
    bound = rate_upper_bound(bad, len(checked), doubt)
    return Escapes(checked=len(checked), bad=bad, at_most=bound)


def _newest(words: Mapping[str, Label]) -> Label:
    return max(words.values(), key=lambda label: (label.labelled_at, label.reviewer))


def _agreement(label_sets: Iterable[Mapping[str, Label]]) -> Agreement:
    pairs = [
        label.good is other.good
        for words in label_sets
        for label, other in combinations(words.values(), 2)
    ]
    agreed = sum(pairs)
    if not pairs:
        return Agreement(pairs=0, agreed=0, errors=None)
    # Two reviewers who err independently at rate e agree on 1 - 2 e (1 - e) of the images.
    differing = min(1 - agreed / len(pairs), 0.5)
    return Agreement(pairs=len(pairs), agreed=agreed, errors=(1 - sqrt(1 - 2 * differing)) / 2)


def _shift(
    catalog: Catalog, terms: AcceptPlan, digest: str | None, records: Sequence[AssetRecord]
) -> tuple[ShiftStatus, ...]:
    if digest is None:
        return ()
    gate = AcceptanceGate(terms, read_calibration(catalog, digest), digest)
    gate.restore(reversed(records))
    return tuple(
        ShiftStatus(sort=str(sort), images=watch.seen, won=watch.wealth, alarmed=watch.alarmed)
        for sort, watch in gate.detectors.items()
    )
