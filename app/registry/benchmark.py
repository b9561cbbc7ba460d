"""A benchmark: the results of several models on one workload, image by image and as figures."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from app.types import Digest, Kind, Measure, Seed, Size, Value, Verdict
from app.types.registered_version import Amount, Share


class WorkItem(Value):
    """One line of the prompt file: what is to be rendered, and what it is for."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    text: Annotated[str, Field(max_length=500)] = ""
    """Text to be set below or beside the image, and read back; empty: none."""
    size: Size | None = None
    """None: the first size that the model was trained at."""
    kind: Kind | None = None
    """The kind whose rules apply; None: an icon's, or a poster's without transparency."""
    labels: tuple[str, ...] = ()
    """Labels by which figures are also grouped: hero, icon."""


class ImageResult(Value):
    """One requested image: its times, its cost, and its verdict.

    Seconds are given for the image rendered alone and for its share of a whole batch; both by the
    wall clock and as processor time.
    """

    work: Annotated[int, Field(ge=0)]
    """Its line in the workload, from 0."""
    seed: Seed
    seconds: Amount
    processor_seconds: Amount
    batch_seconds: Amount
    batch_processor_seconds: Amount
    usd: Amount
    verdict: Verdict | None
    """None: no image was made, and `reasons` says why."""
    reasons: tuple[str, ...] = ()
    complaints: tuple[Measure, ...] = ()
    agreement: Share | None = None
    legibility: Share | None = None
    """The share of the characters that OCR reads as they were written."""

    @property
    def accepted(self) -> bool:
        """Returns whether the image was made and accepted."""
        return self.verdict is Verdict.ACCEPT


class Machine(Value):
    """What times depend on besides the model; times of different machines are not compared."""

    processor: str
    device: str
    """cpu or cuda; empty for a backend that does not compute here."""
    mode: str
    """The engine's mode."""

    def __str__(self) -> str:
        """Returns the machine in words."""
        return ", ".join(filter(None, (self.processor, self.device, self.mode)))


class Participant(Value):
    """A model that took part, with every image requested of it."""

    named: str
    """The name that the caller gave: draft@champion."""
    reference: str
    """The version that the name stands for: draft/7."""
    weights_digest: Digest
    machine: Machine
    memory_mib: Amount
    """The worker's peak above its memory before it loaded the model."""
    gpu_memory_mib: Amount | None = None
    refused: dict[int, str] = Field(default_factory=dict)
    """By line: why the image was not requested. It does not count against the model."""
    shots: tuple[ImageResult, ...] = ()


class LabelFigures(Value):
    """One model's results on the lines with a label."""

    images: int
    accepted: int
    seconds: Amount
    """Of the whole batch."""
    usd: Amount
    usd_per_accepted: Amount | None

    @property
    def accepted_per_second(self) -> float:
        """Returns accepted images per second of the batch."""
        return self.accepted / self.seconds if self.seconds else 0.0


class ModelFigures(Value):
    """One model's row: everything by which it is compared, complete in itself.

    A share or a time is None where there was nothing to measure it by.
    """

    bench: str
    measured_at: str
    workload: Digest
    """Prompts, texts, samples, rules and critic: only results of one workload can be compared."""
    named: str
    reference: str
    weights_digest: Digest
    machine: Machine
    images: int
    failed: int
    accepted: int
    not_applicable: int
    """Lines that it cannot do; they count neither for nor against it."""
    acceptance: Share | None
    """Share of all requested images; a failed image counts as not accepted."""
    agreement: Share | None
    legibility: Share | None
    human_score: Share | None = None
    """How legible people find its texts, from 0 to 1."""
    median_seconds: Amount | None
    p95_seconds: Amount | None
    """Both of single images, by the wall clock."""
    processor_seconds: Amount | None
    """The median of single images, in processor time."""
    batch_processor_seconds: Amount | None
    """Processor time for each image of a batch."""
    images_per_second: Amount | None
    """Of a batch on one worker, by the wall clock."""
    memory_mib: Amount
    gpu_memory_mib: Amount | None
    usd_per_1000: Amount | None
    usd_per_accepted: Amount | None
    accepted_per_second: Amount | None
    complaints: dict[str, int]
    """How often each rule rejected or flagged an image, by its measure."""
    labels: dict[str, LabelFigures]

    @property
    def accepted_per_usd(self) -> float | None:
        """Returns accepted images per dollar; None where they cost nothing or there are none."""
        return 1 / self.usd_per_accepted if self.usd_per_accepted else None

    @property
    def free(self) -> bool:
        """Returns whether its images cost nothing."""
        return not self.usd_per_1000


class BenchTolerance(Value):
    """How much worse than another a model may be on each axis."""

    acceptance: Share = 0.05
    agreement: Share = 0.05
    legibility: Share = 0.05
    seconds_share: Amount = 0.3
    """As a share of the other's seconds; on shared machines they vary."""
    memory_mib: Amount = 256


class AxisComparison(Value):
    """The comparison of two models on one axis: texts and whether it holds."""

    model: str
    against: str
    asks: str
    found: str
    other: str
    limit: str
    holds: bool

    def __str__(self) -> str:
        """Returns the row in one sentence."""
        return (
            f"{self.model}: {self.asks} is {self.found}, {self.against} has {self.other}; "
            f"required: {self.limit}"
        )


class BenchmarkResult(Value):
    """A whole benchmark: the content of `bench.json`."""

    id: str
    measured_at: str
    workload: Digest
    works: tuple[WorkItem, ...]
    samples: int
    entrants: tuple[Participant, ...]
    figures: tuple[ModelFigures, ...]
    """The best value for money first; see `ranked`."""
    against: str = ""
    """What the models were compared with; empty: nothing."""
    axes: tuple[AxisComparison, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""

    @property
    def free(self) -> bool:
        """Returns whether all images were free; then models are ranked by seconds."""
        return all(figure.free for figure in self.figures)

    @property
    def regressions(self) -> tuple[AxisComparison, ...]:
        """Returns the comparisons that do not hold."""
        return tuple(axis for axis in self.axes if not axis.holds)


def ranked(figures: Sequence[ModelFigures]) -> list[ModelFigures]:
    """Returns the figures by accepted images per dollar; free ones by accepted images per second.

    Models without accepted images come last.
    """

    return sorted(figures, key=_value_for_money, reverse=True)


def ranked_for(
    label: str, figures: Sequence[ModelFigures]
) -> list[tuple[ModelFigures, LabelFigures]]:
    """Returns the models that can do the lines with this label, ranked as by `ranked`."""
    able = [(figure, figure.labels[label]) for figure in figures if label in figure.labels]
    return sorted(able, key=lambda pair: _value_for_money(pair[1]), reverse=True)


def _value_for_money(figures: ModelFigures | LabelFigures) -> tuple[bool, float, float]:
    """Returns the sort key: free results first, then images per dollar, then images per second."""
    cost = figures.usd_per_accepted
    return cost == 0, 1 / cost if cost else 0.0, figures.accepted_per_second or 0.0
