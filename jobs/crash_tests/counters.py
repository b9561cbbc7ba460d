"""The counters of crash tests: those that must be 0, the others, and notes on what broke."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.types import Value


class CrashTestKind(StrEnum):
    """What is broken in a crash test."""

    POINT = "point"
    SYSCALL = "syscall"
    ROT = "rot"
    WRITERS = "writers"
    POISON = "poison"
    WORKER = "worker"
    DRIVER = "driver"
    ALL = "all"


class CrashTestResult(Value):
    """All tests of one kind."""

    kind: str
    trials: int
    broken: dict[str, int]
    """Each must be 0."""
    counted: dict[str, int]
    notes: tuple[str, ...]
    """What broke where, and what could not be tested."""

    @property
    def holds(self) -> bool:
        """Returns whether nothing broke."""
        return not any(self.broken.values())


class CrashTestReport(Value):
    """Every kind that was tested, with the seed that chose the moments."""

    seed: int
    kinds: tuple[CrashTestResult, ...]

    @property
    def holds(self) -> bool:
        """Returns whether nothing broke in any kind."""
        return all(kind.holds for kind in self.kinds)


@dataclass(slots=True)
class Counters:
    """Counters for the tests of one kind, updated while they run."""

    kind: str
    trials: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, where: str, broken: Mapping[str, int], **counted: int) -> None:
        """Adds the counts of a test, or of a check in the middle of one."""
        self.broken.update(broken)
        self.counted.update({name.replace("_", " "): count for name, count in counted.items()})
        text = ", ".join(f"{name} {count}" for name, count in broken.items() if count)
        if text:
            self.notes.append(f"{where}: {text}")

    def result(self) -> CrashTestResult:
        """Returns the totals."""
        return CrashTestResult(
            kind=self.kind,
            trials=self.trials,
            broken=dict(self.broken),
            counted=dict(self.counted),
            notes=tuple(self.notes),
        )
