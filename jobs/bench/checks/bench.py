"""What the checks find of a world of defects, what they take for one, and what they cost."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.check.agreement import Critic
from app.models.bundled import FOLDERS, critic_folder_of, read_version
from app.types import Measure, Value
from jobs.bench.checks.costs import EVERY, Cost, costs, painting
from jobs.train.defects.judging import Judge, Judged
from jobs.train.defects.registry import SEVERITIES
from jobs.train.defects.sources import Painter, Source, seeds
from jobs.train.defects.world import Extent, Made, World

FULL = Extent(count=60, controls=1000)
QUICK = Extent(count=4, controls=40, texts=2)
GOAL, ALARM_GOAL = 0.95, 0.02
MILLISECONDS_GOAL, SHARE_GOAL = 20.0, 0.1
DETERMINISTIC = frozenset(
    {
        Measure.DECODES, Measure.SIZE_ERROR, Measure.COVERAGE, Measure.SOFTNESS, Measure.FRAGMENTS,
        Measure.BORDER, Measure.CONTRAST, Measure.FRINGE, Measure.HALO,
    }
)  # fmt: skip
"""What needs no opinion: file, size, alpha and flatness."""
_COMPANY = frozenset({Measure.DUPLICATE_DISTANCE})
"""What depends on the other pictures."""
_ROUNDS = 15

Say = Callable[[str], None]


class Cell(Value):
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
    """With the good picture beside it as well; None where there is no such thing."""
    named: float
    """Found by one of the measures that ought to speak, with the limits."""


class Alarms(Value):
    """Untouched pictures of one source: the shares refused alone, and by which measures."""

    source: Source
    count: int
    by_rules: float
    by_limits: float
    rules_that_spoke: dict[str, int]
    limits_that_spoke: dict[str, int]
    near_duplicates: float
    """Refused as near duplicates of the untouched ones before them that show something else."""


class CheckFigures(Value):
    """All of it."""

    cells: tuple[Cell, ...]
    alarms: tuple[Alarms, ...]
    costs: tuple[Cost, ...]
    painting_milliseconds: float | None
    """What one picture takes the starter at its own size; None when it did not paint."""

    def together(self, side: int, *, opaque: bool = False) -> float:
        """Milliseconds of all checks at a size."""
        return next(
            one.milliseconds for one in self.costs
            if (one.check, one.side, one.opaque) == (EVERY, side, opaque)
        )  # fmt: skip

    @property
    def share(self) -> float | None:
        """Of what the starter's painting takes, what all checks of its pictures take."""
        return (
            self.together(64) / self.painting_milliseconds if self.painting_milliseconds else None
        )

    @property
    def lawful(self) -> bool:
        """Whether every deterministic defect was found, and no drawing was refused for one."""
        return all(cell.by_limits == 1 for cell in self.cells if cell.deterministic) and not any(
            spoke in DETERMINISTIC
            for one in self.alarms if one.source is Source.DRAWN for spoke in one.limits_that_spoke
        )  # fmt: skip

    @property
    def missed(self) -> list[Cell]:
        """What the goals ask for and is not there: every deterministic one, 95 % at medium."""
        return [
            cell for cell in self.cells
            if cell.by_limits < (1.0 if cell.deterministic else GOAL if cell.severity == 2 else 0)
        ]  # fmt: skip


@dataclass(slots=True)
class _Tally:
    """The judged of one class and severity, or of one source."""

    first: Made
    judged: list[Judged] = field(default_factory=list)


Shown = dict[tuple[str, int], list[Made]]
"""One or two of each class and severity, to look at: painted and drawn, where it takes both."""


def bench_checks(extent: Extent, say: Say, *, rounds: int = _ROUNDS) -> tuple[CheckFigures, Shown]:
    """Make the world in memory and judge it; some minutes on one core, reading texts most."""
    critic = starter_critic()
    world, judge = World(extent), Judge(critic)
    alarms: dict[Source, _Tally] = {}
    for made in world.controls():
        alarms.setdefault(made.good.source, _Tally(made)).judged.append(judge.of(made))
    cells: dict[tuple[str, int], _Tally] = {}
    shown: Shown = {}
    for made in world.spoilt():
        place = made.sample.defect, made.sample.severity
        if place not in cells and made.sample.severity == SEVERITIES[0]:
            say(f"{made.sample.defect} ...")
        judged = cells.setdefault(place, _Tally(made)).judged
        if len(judged) in (0, 2 * extent.count // 3):
            shown.setdefault(place, []).append(made)
        judged.append(judge.of(made))
    numbers = seeds(extent.part, extent.number)[:20]
    figures = CheckFigures(
        cells=tuple(_cell(tally) for tally in cells.values()),
        alarms=tuple(_alarms(tally) for tally in alarms.values()),
        costs=tuple(costs(critic, rounds=rounds)),
        painting_milliseconds=painting(Painter(), numbers) if extent.painted else None,
    )
    return figures, shown


def starter_critic() -> Critic:
    """The critic that ships."""
    folder = critic_folder_of(read_version(FOLDERS["starter"]))
    assert folder is not None
    return Critic.load(folder)


def _cell(tally: _Tally) -> Cell:
    sample, judged = tally.first.sample, tally.judged
    ought = set(sample.ought)
    beside = [one.by_reference for one in judged if one.by_reference is not None]
    return Cell(
        defect=sample.defect,
        severity=sample.severity,
        count=len(judged),
        deterministic=sample.deterministic,
        by_rules=_share([bool(one.by_rules) for one in judged]),
        by_limits=_share([bool(one.by_limits) for one in judged]),
        by_reference=_share([bool(one) for one in beside]) if beside else None,
        named=_share([bool(one.by_limits & ought) for one in judged]),
    )


def _alarms(tally: _Tally) -> Alarms:
    by_rules = [one.by_rules - _COMPANY for one in tally.judged]
    by_limits = [one.by_limits - _COMPANY for one in tally.judged]
    return Alarms(
        source=tally.first.good.source,
        count=len(tally.judged),
        by_rules=_share([bool(one) for one in by_rules]),
        by_limits=_share([bool(one) for one in by_limits]),
        rules_that_spoke=_counted(by_rules),
        limits_that_spoke=_counted(by_limits),
        near_duplicates=_share([bool(one.by_rules & _COMPANY) for one in tally.judged]),
    )


def _counted(found: Sequence[frozenset[Measure]]) -> dict[str, int]:
    return dict(Counter(str(measure) for one in found for measure in sorted(one)).most_common())


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)
