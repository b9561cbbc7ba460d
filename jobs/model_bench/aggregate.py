"""Aggregates a participant's images into one row of figures; pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from statistics import fmean, median

import numpy as np

from app.registry.benchmark import (
    BenchmarkResult,
    ImageResult,
    LabelFigures,
    ModelFigures,
    Participant,
    WorkItem,
)


def figures_of(
    benchmark: BenchmarkResult, participant: Participant, only: Collection[int] | None = None
) -> ModelFigures:
    """Returns the participant's row of figures over every line, or over `only` some of them."""
    works = benchmark.works
    lines = range(len(works)) if only is None else sorted(only)
    shots = [shot for shot in participant.shots if shot.work in lines]
    judged = [shot for shot in shots if shot.verdict is not None]
    accepted = sum(shot.accepted for shot in shots)
    seconds, usd = sum(shot.batch_seconds for shot in shots), sum(shot.usd for shot in shots)
    alone = [shot.seconds for shot in judged]
    return ModelFigures(
        bench=benchmark.id,
        measured_at=benchmark.measured_at,
        workload=benchmark.workload,
        named=participant.named,
        reference=participant.reference,
        weights_digest=participant.weights_digest,
        machine=participant.machine,
        images=len(shots),
        failed=len(shots) - len(judged),
        accepted=accepted,
        not_applicable=sum(line in participant.refused for line in lines),
        acceptance=accepted / len(shots) if shots else None,
        agreement=_mean(shot.agreement for shot in shots),
        legibility=_mean(shot.legibility for shot in shots),
        median_seconds=median(alone) if alone else None,
        p95_seconds=float(np.percentile(alone, 95)) if alone else None,
        processor_seconds=median(shot.processor_seconds for shot in judged) if judged else None,
        batch_processor_seconds=_mean(shot.batch_processor_seconds for shot in shots),
        images_per_second=len(judged) / seconds if seconds else None,
        memory_mib=participant.memory_mib,
        gpu_memory_mib=participant.gpu_memory_mib,
        usd_per_1000=1000 * usd / len(shots) if shots else None,
        usd_per_accepted=usd / accepted if accepted else None,
        accepted_per_second=accepted / seconds if seconds else None,
        complaints=dict(Counter(check for shot in shots for check in shot.complaints)),
        labels=_labels(shots, works),
    )


def _labels(shots: Sequence[ImageResult], works: Sequence[WorkItem]) -> dict[str, LabelFigures]:
    """Returns figures by label, in the order in which the workload first names them."""
    named = dict.fromkeys(label for work in works for label in work.labels)
    groups = {
        label: [shot for shot in shots if label in works[shot.work].labels] for label in named
    }
    return {label: _label(group) for label, group in groups.items() if group}


def _label(shots: Sequence[ImageResult]) -> LabelFigures:
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
