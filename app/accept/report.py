"""Report: what acceptance came to in the latest runs, held against what people said."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations
from math import sqrt

from app.accept.calibrate import fair_keys
from app.accept.gate import Guard, passed
from app.accept.labels import SPOT_CHECKS, Label, labels, last_words, lot
from app.accept.promoted_calibration import live, read
from app.accept.risk_bounds import highest_rate
from app.plan.schema import AcceptPlan
from app.store.catalog import Catalog
from app.store.run_statistics import verdicts
from app.types import AssetRecord, Status, Value, Verdict


class RunShares(Value):
    """What became of a run's decided assets before people said anything."""

    run_id: str
    accepted: int
    review: int
    rejected: int


class Escapes(Value):
    """Bad pictures among the accepted ones, by fair spot checks alone."""

    checked: int
    bad: int
    at_most: float
    """Their rate is below this with the confidence asked for; 1 without any check."""


class Agreement(Value):
    """Pictures that two people looked at, and what their disagreement says of each of them."""

    pairs: int
    agreed: int
    errors: float | None
    """How often each errs, were they alike and independent; None without pairs."""


class Shifted(Value):
    """One sort of pictures since it was labelled."""

    sort: str
    images: int
    won: float
    alarmed: bool


class Due(Value):
    """A picture that waits for a person's word."""

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
    shift: tuple[Shifted, ...]
    due: int
    """Pictures that wait for a person."""


def checks_report(catalog: Catalog, terms: AcceptPlan, *, runs: int = 3) -> ChecksReport:
    """The report on the latest runs that decided anything."""
    records = verdicts(catalog)
    said = last_words(labels(catalog))
    chosen = list(dict.fromkeys(record.run_id for record in records))[:runs]
    latest = [record for record in records if record.run_id in chosen]
    digest = live(catalog)
    return ChecksReport(
        calibration=digest,
        runs=tuple(_shares(run, latest, said) for run in chosen),
        escapes=_escapes(latest, said, 1 - terms.confidence),
        agreement=_agreement(said.values()),
        shift=_shift(catalog, terms, digest, latest),
        due=len(due(latest, said.keys())),
    )


def due(
    records: Sequence[AssetRecord], labelled: Iterable[str], *, share: float = SPOT_CHECKS
) -> list[Due]:
    """What waits for a person, in the order of the lots: for review, or drawn for a spot check."""
    known = frozenset(labelled)
    waiting = {lot(one.key): one for one in records if one.key not in known}
    return [
        Due(
            name=one.name,
            version=one.version,
            status=one.status,
            why="review" if one.status is Status.REVIEW else "spot check",
        )
        for chance, one in sorted(waiting.items(), key=lambda pair: pair[0])
        if one.status is Status.REVIEW
        or (chance < share and one.report is not None and passed(one.report))
    ]


def _shares(run_id: str, records: Iterable[AssetRecord], said: Container[str]) -> RunShares:
    counted = Counter(_alone(record, said) for record in records if record.run_id == run_id)
    return RunShares(
        run_id=run_id,
        accepted=counted[Status.ACCEPTED],
        review=counted[Status.REVIEW],
        rejected=counted[Status.REJECTED],
    )


def _alone(record: AssetRecord, said: Container[str]) -> Status:
    """What became of it before people had a word in it."""
    if record.key not in said or record.report is None:
        return record.status
    match record.report.verdict:
        case Verdict.ACCEPT:
            return Status.ACCEPTED
        case Verdict.REVIEW:
            return Status.REVIEW
    return Status.REJECTED


def _escapes(
    records: Sequence[AssetRecord], said: Mapping[str, Mapping[str, Label]], doubt: float
) -> Escapes:
    sample = fair_keys(records, said)
    alone = [one for one in records if _alone(one, said) is Status.ACCEPTED]
    checked = [one for one in alone if one.key in sample]
    bad = sum(not _newest(said[one.key]).good for one in checked)
    bound = highest_rate(bad, len(checked), doubt)
    return Escapes(checked=len(checked), bad=bad, at_most=bound)


def _newest(words: Mapping[str, Label]) -> Label:
    return max(words.values(), key=lambda one: (one.labelled_at, one.reviewer))


def _agreement(said: Iterable[Mapping[str, Label]]) -> Agreement:
    pairs = [
        one.good is other.good for words in said for one, other in combinations(words.values(), 2)
    ]
    agreed = sum(pairs)
    if not pairs:
        return Agreement(pairs=0, agreed=0, errors=None)
    # Two who err independently at e agree on 1 - 2 e (1 - e) of the pictures.
    differing = min(1 - agreed / len(pairs), 0.5)
    return Agreement(pairs=len(pairs), agreed=agreed, errors=(1 - sqrt(1 - 2 * differing)) / 2)


def _shift(
    catalog: Catalog, terms: AcceptPlan, digest: str | None, records: Sequence[AssetRecord]
) -> tuple[Shifted, ...]:
    if digest is None:
        return ()
    guard = Guard(terms, read(catalog, digest), digest)
    guard.recall(reversed(records))
    return tuple(
        Shifted(sort=str(sort), images=watch.seen, won=watch.won, alarmed=watch.alarmed)
        for sort, watch in guard.watches.items()
    )
