"""A benchmark: what models made of one workload, picture by picture and in figures."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from app.types import Digest, Kind, Measure, Seed, Size, Value, Verdict
from app.types.registered_version import Amount, Share


class WorkItem(Value):
    """One line of the prompt file: what is to be painted, and what it is for."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    text: Annotated[str, Field(max_length=500)] = ""
    """To be set below or beside the picture, and read back; empty is none."""
    size: Size | None = None
    """None leaves it to the model: the first size it was trained at."""
    kind: Kind | None = None
    """Whose rules the pictures must pass; None: an icon's, or a poster's without transparency."""
    labels: tuple[str, ...] = ()
    """What figures are also given by: hero, icon."""


class ImageResult(Value):
    """One picture that was asked for: what it took, what it cost, and what was said of it.

    The seconds are those of the picture alone, and its share of a whole batch; the clock's and
    the processor's own.
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
    """None: no picture came, and `reasons` says why."""
    reasons: tuple[str, ...] = ()
    complaints: tuple[Measure, ...] = ()
    agreement: Share | None = None
    legibility: Share | None = None
    """The share of the characters that a reader finds as they were written."""

    @property
    def accepted(self) -> bool:
        """Whether it came and nothing was said against it."""
        return self.verdict is Verdict.ACCEPT


class Machine(Value):
    """What the times depend on besides the model; times of unlike machines are not compared."""

    processor: str
    device: str
    """cpu or cuda; empty for what does not calculate."""
    mode: str
    """The engine's."""

    def __str__(self) -> str:
        """As people read it."""
        return ", ".join(filter(None, (self.processor, self.device, self.mode)))


class Participant(Value):
    """A model that took part, with every picture that was asked of it."""

    named: str
    """As the caller named it: draft@champion."""
    reference: str
    """What that stands for: draft/7."""
    weights_digest: Digest
    machine: Machine
    memory_mib: Amount
    """The worker's peak above what it took before it loaded the model."""
    gpu_memory_mib: Amount | None = None
    refused: dict[int, str] = Field(default_factory=dict)
    """By line: why it was not asked for that. Nobody can blame it for such a picture."""
    shots: tuple[ImageResult, ...] = ()


class LabelFigures(Value):
    """What one model made of the lines that bear a label."""

    images: int
    accepted: int
    seconds: Amount
    """Of the whole batch."""
    usd: Amount
    usd_per_accepted: Amount | None

    @property
    def accepted_per_second(self) -> float:
        """Accepted images for each second of the batch."""
        return self.accepted / self.seconds if self.seconds else 0.0


class ModelFigures(Value):
    """One model's row: everything by which it is compared, complete in itself.

    A share or a time is None where there was nothing to measure it by.
    """

    bench: str
    measured_at: str
    workload: Digest
    """Prompts, texts, samples, rules, critic: only results of one workload can be compared."""
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
    """Of all that were asked for; what failed was not accepted."""
    agreement: Share | None
    legibility: Share | None
    human_score: Share | None = None
    """How legible people find its texts, from 0 to 1."""
    median_seconds: Amount | None
    p95_seconds: Amount | None
    """Both of single images, by the clock."""
    processor_seconds: Amount | None
    """The median of single images, by the processor."""
    batch_processor_seconds: Amount | None
    """The processor's, for each image of a batch."""
    images_per_second: Amount | None
    """One worker's, of a batch, by the clock."""
    memory_mib: Amount
    gpu_memory_mib: Amount | None
    usd_per_1000: Amount | None
    usd_per_accepted: Amount | None
    accepted_per_second: Amount | None
    complaints: dict[str, int]
    """How often each rule spoke, by its measure."""
    labels: dict[str, LabelFigures]

    @property
    def accepted_per_usd(self) -> float | None:
        """Accepted images for a dollar; None where they cost nothing or there are none."""
        return 1 / self.usd_per_accepted if self.usd_per_accepted else None

    @property
    def free(self) -> bool:
        """Whether its images cost nothing."""
        return not self.usd_per_1000


class BenchTolerance(Value):
    """How much worse than another a model may be on each axis."""

    acceptance: Share = 0.05
    agreement: Share = 0.05
    legibility: Share = 0.05
    seconds_share: Amount = 0.3
    """As a share of the other's seconds; on machines that others use they vary."""
    memory_mib: Amount = 256


class AxisComparison(Value):
    """One axis on which a model was held against another; pure words and a verdict."""

    model: str
    against: str
    asks: str
    found: str
    other: str
    limit: str
    holds: bool

    def __str__(self) -> str:
        """The row in one sentence."""
        return (
            f"{self.model}: {self.asks} is {self.found}, {self.against} has {self.other}; "
            f"required: {self.limit}"
        )


class BenchmarkResult(Value):
    """A whole benchmark: what `bench.json` holds."""

    id: str
    measured_at: str
    workload: Digest
    works: tuple[WorkItem, ...]
    samples: int
    entrants: tuple[Participant, ...]
    figures: tuple[ModelFigures, ...]
    """The best for the money first; see `ranked`."""
    against: str = ""
    """With what the models were compared; empty: with nothing."""
    axes: tuple[AxisComparison, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""

    @property
    def free(self) -> bool:
        """Whether nobody's images cost anything: then seconds rank."""
        return all(figure.free for figure in self.figures)

    @property
    def regressions(self) -> tuple[AxisComparison, ...]:
        """The rows that do not hold."""
        return tuple(axis for axis in self.axes if not axis.holds)


def ranked(figures: Sequence[ModelFigures]) -> list[ModelFigures]:
    """The most accepted images for a dollar first; what is free goes by accepted images a second.

    Whoever had nothing accepted stands last.
    """

    return sorted(figures, key=_value_for_money, reverse=True)


def ranked_for(
    label: str, figures: Sequence[ModelFigures]
) -> list[tuple[ModelFigures, LabelFigures]]:
    """Whoever can do the lines with this label, in the order of `ranked` by those lines alone."""
    able = [(figure, figure.labels[label]) for figure in figures if label in figure.labels]
    return sorted(able, key=lambda pair: _value_for_money(pair[1]), reverse=True)


def _value_for_money(figures: ModelFigures | LabelFigures) -> tuple[bool, float, float]:
    """Whether something is got for nothing, then how much for a dollar, then for a second."""
    cost = figures.usd_per_accepted
    return cost == 0, 1 / cost if cost else 0.0, figures.accepted_per_second or 0.0
