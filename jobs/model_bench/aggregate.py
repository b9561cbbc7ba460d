"""The tally: an entrant's pictures as one row of figures; pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from statistics import fmean, median

import numpy as np

from app.registry.benchmark import Bench, Entrant, Figures, LabelFigures, Shot, Work


def figures_of(found: Bench, entrant: Entrant, only: Collection[int] | None = None) -> Figures:
    """The entrant's row of a benchmark over every line, or over `only` some of them."""
    works = found.works
    lines = range(len(works)) if only is None else sorted(only)
    shots = [shot for shot in entrant.shots if shot.work in lines]
    came = [shot for shot in shots if shot.verdict is not None]
    accepted = sum(shot.accepted for shot in shots)
    seconds, usd = sum(shot.batch_seconds for shot in shots), sum(shot.usd for shot in shots)
    alone = [shot.seconds for shot in came]
    return Figures(
        bench=found.id,
        measured_at=found.measured_at,
        workload=found.workload,
        named=entrant.named,
        reference=entrant.reference,
        weights_digest=entrant.weights_digest,
        machine=entrant.machine,
        images=len(shots),
        failed=len(shots) - len(came),
        accepted=accepted,
        not_applicable=sum(line in entrant.refused for line in lines),
        acceptance=accepted / len(shots) if shots else None,
        agreement=_mean(shot.agreement for shot in shots),
        legibility=_mean(shot.legibility for shot in shots),
        median_seconds=median(alone) if alone else None,
        p95_seconds=float(np.percentile(alone, 95)) if alone else None,
        processor_seconds=median(one.processor_seconds for one in came) if came else None,
        batch_processor_seconds=_mean(shot.batch_processor_seconds for shot in shots),
        images_per_second=len(came) / seconds if seconds else None,
        memory_mib=entrant.memory_mib,
        gpu_memory_mib=entrant.gpu_memory_mib,
        usd_per_1000=1000 * usd / len(shots) if shots else None,
        usd_per_accepted=usd / accepted if accepted else None,
        accepted_per_second=accepted / seconds if seconds else None,
        complaints=dict(Counter(check for shot in shots for check in shot.complaints)),
        labels=_labels(shots, works),
    )


def _labels(shots: Sequence[Shot], works: Sequence[Work]) -> dict[str, LabelFigures]:
    """By label, in the order in which the workload first names them."""
    named = dict.fromkeys(label for work in works for label in work.labels)
    groups = {
        label: [shot for shot in shots if label in works[shot.work].labels] for label in named
    }
    return {label: _label(group) for label, group in groups.items() if group}


def _label(shots: Sequence[Shot]) -> LabelFigures:
    accepted, usd = sum(shot.accepted for shot in shots), sum(shot.usd for shot in shots)
    return LabelFigures(
        images=len(shots),
        accepted=accepted,
        seconds=sum(shot.batch_seconds for shot in shots),
        usd=usd,
        usd_per_accepted=usd / accepted if accepted else None,
    )


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None
