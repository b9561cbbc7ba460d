"""How many defects the checks find, how many good images they refuse, and what they cost."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.check.agreement import Critic
from app.cli.output import Say
from app.models.bundled import FOLDERS, critic_folder_of, read_version
from app.types import Measure, Value
from jobs.bench.checks.costs import ALL_CHECKS, CheckCost, costs, painting
from jobs.train.defects.judging import JudgedSample, SampleJudge
from jobs.train.defects.registry import SEVERITIES
from jobs.train.defects.sources import Source, StarterRenderer, seeds
from jobs.train.defects.world import DefectWorld, WorldExtent, WorldSample

QUICK = WorldExtent(count=4, controls=40, texts=2)
GOAL, ALARM_GOAL = 0.95, 0.02
MILLISECONDS_GOAL, SHARE_GOAL = 20.0, 0.1
DETERMINISTIC = frozenset(
    {
        Measure.DECODES, Measure.SIZE_ERROR, Measure.COVERAGE, Measure.SOFTNESS, Measure.FRAGMENTS,
        Measure.BORDER, Measure.CONTRAST, Measure.FRINGE, Measure.HALO,
    }
)  # fmt: skip
"""What needs no opinion: file, size, alpha and flatness."""
_NEEDS_NEIGHBOURS = frozenset({Measure.DUPLICATE_DISTANCE})
"""What depends on the other images."""
_ROUNDS = 15


class DefectCell(Value):
    """One class at one severity: how many there were, and the shares that were found."""

    defect: str
    severity: int
    count: int
    deterministic: bool
    by_rules: float
    """By the rules that a plan of this kind starts from."""
    by_limits: float
    """With the recommended limits of `app.check.limits` in their place."""
    by_reference: float | None
    """With the good image to compare with as well; None where there is none."""
    named: float
    """Found by one of the measures that should find it, with the limits."""


class Alarms(Value):
    """Untouched images of one source: the shares wrongly refused, and by which measures."""

    source: Source
    count: int
    by_rules: float
    by_limits: float
    rules_that_spoke: dict[str, int]
    limits_that_spoke: dict[str, int]
    near_duplicates: float
    """Refused as near duplicates of earlier untouched images that show something else."""


class CheckFigures(Value):
    """The figures of all defects, false alarms and costs."""

    cells: tuple[DefectCell, ...]
    alarms: tuple[Alarms, ...]
    costs: tuple[CheckCost, ...]
    painting_milliseconds: float | None
    """Milliseconds the starter takes for one image at its own size; None when it did not render."""

    def all_checks(self, side: int, *, opaque: bool = False) -> float:
        """Returns the milliseconds of all checks at a size."""
        return next(
            cost.milliseconds for cost in self.costs
            if (cost.check, cost.side, cost.opaque) == (ALL_CHECKS, side, opaque)
        )  # fmt: skip

    @property
    def share(self) -> float | None:
        """Returns the time of all checks as a share of the starter's rendering time."""
        return (
            self.all_checks(64) / self.painting_milliseconds if self.painting_milliseconds else None
        )

    @property
    def passes(self) -> bool:
        """Returns whether every deterministic defect was found and no drawing refused for one."""
        return all(cell.by_limits == 1 for cell in self.cells if cell.deterministic) and not any(
            spoke in DETERMINISTIC
            for row in self.alarms if row.source is Source.DRAWN for spoke in row.limits_that_spoke
        )  # fmt: skip


@dataclass(slots=True)
class _DefectCounts:
    """The judged samples of one class and severity, or of one source."""

    first: WorldSample
    judged: list[JudgedSample] = field(default_factory=list)


ShownSamples = dict[tuple[str, int], list[WorldSample]]
"""One or two samples of each class and severity: rendered and drawn, where it has both."""


def bench_checks(
    extent: WorldExtent, say: Say, *, rounds: int = _ROUNDS
) -> tuple[CheckFigures, ShownSamples]:
    """Makes and judges the defects in memory; some minutes on one core, most to read text."""
    critic = starter_critic()
    world, judge = DefectWorld(extent), SampleJudge(critic)
    alarms: dict[Source, _DefectCounts] = {}
    for made in world.controls():
        alarms.setdefault(made.good.source, _DefectCounts(made)).judged.append(judge.judge(made))
    cells: dict[tuple[str, int], _DefectCounts] = {}
    shown: ShownSamples = {}
    for made in world.spoilt():
        place = made.sample.defect, made.sample.severity
        if place not in cells and made.sample.severity == SEVERITIES[0]:
            say(f"{made.sample.defect} ...")
        judged = cells.setdefault(place, _DefectCounts(made)).judged
        if len(judged) in (0, 2 * extent.count // 3):
            shown.setdefault(place, []).append(made)
        judged.append(judge.judge(made))
    numbers = seeds(extent.part, extent.number)[:20]
    figures = CheckFigures(
        cells=tuple(_cell(tally) for tally in cells.values()),
        alarms=tuple(_alarms(tally) for tally in alarms.values()),
        costs=tuple(costs(critic, rounds=rounds)),
        painting_milliseconds=painting(StarterRenderer(), numbers) if extent.painted else None,
    )
    return figures, shown


def starter_critic() -> Critic:
    """Returns the bundled critic."""
    folder = critic_folder_of(read_version(FOLDERS["starter"]))
    assert folder is not None
    return Critic.load(folder)


def _cell(tally: _DefectCounts) -> DefectCell:
    sample, judged = tally.first.sample, tally.judged
    expected = set(sample.ought)
    by_reference = [sample.by_reference for sample in judged if sample.by_reference is not None]
    return DefectCell(
        defect=sample.defect,
        severity=sample.severity,
        count=len(judged),
        deterministic=sample.deterministic,
        by_rules=_share([bool(sample.by_rules) for sample in judged]),
        by_limits=_share([bool(sample.by_limits) for sample in judged]),
        by_reference=_share([bool(broken) for broken in by_reference]) if by_reference else None,
        named=_share([bool(sample.by_limits & expected) for sample in judged]),
    )


def _alarms(tally: _DefectCounts) -> Alarms:
    by_rules = [sample.by_rules - _NEEDS_NEIGHBOURS for sample in tally.judged]
    by_limits = [sample.by_limits - _NEEDS_NEIGHBOURS for sample in tally.judged]
    return Alarms(
        source=tally.first.good.source,
        count=len(tally.judged),
        by_rules=_share([bool(broken) for broken in by_rules]),
        by_limits=_share([bool(broken) for broken in by_limits]),
        rules_that_spoke=_counted(by_rules),
        limits_that_spoke=_counted(by_limits),
        near_duplicates=_share(
            [bool(sample.by_rules & _NEEDS_NEIGHBOURS) for sample in tally.judged]
        ),
    )


def _counted(measure_sets: Sequence[frozenset[Measure]]) -> dict[str, int]:
    return dict(
        Counter(
            str(measure) for measures in measure_sets for measure in sorted(measures)
        ).most_common()
    )


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
