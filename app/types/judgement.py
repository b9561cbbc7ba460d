"""Rules over measures, the verdict when they are broken, and the judge's report."""

from enum import StrEnum

from app.types.base import Value
from app.types.measures import Measure


class Verdict(StrEnum):
    """The judge's verdict on one image."""

    ACCEPT = "accept"
    REVIEW = "review"
    RETRY = "retry"
    REJECT = "reject"


class Rule(Value):
    """One acceptance rule: a measure, its limits, and the verdict when it is broken."""

    check: Measure
    at_least: float | None = None
    at_most: float | None = None
    otherwise: Verdict = Verdict.RETRY

    def holds(self, score: float) -> bool:
        """Returns whether the score lies inside the limits."""
        above = self.at_least is None or score >= self.at_least
        return above and (self.at_most is None or score <= self.at_most)

    def __str__(self) -> str:
        """Returns the rule as text: agreement >= 0.5."""
        low = [f"{self.check} >= {self.at_least:g}"] if self.at_least is not None else []
        high = [f"{self.check} <= {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(low + high)


class BrandRule(Rule):
    """A rule from a plan's brand, with the reference values that its measure needs."""

    pillar: str
    """Its key in the brand: palette, framing.margin."""
    colours: tuple[str, ...] = ()
    angle: float = 0.0
    """Direction of the light, in degrees clockwise from above."""
    ground: str = ""
    """`transparent`, `plate`, or a colour as #rrggbb."""

    def __str__(self) -> str:
        """Returns the rule with its key in the brand: brand.palette: palette_error <= 12."""
        return f"brand.{self.pillar}: {super().__str__()}"


class Finding(Value):
    """One broken rule: its measure, the score (None: not measured), the rule, its verdict."""

    check: Measure
    score: float | None
    rule: str
    verdict: Verdict


class QualityReport(Value):
    """The judge's report on one image."""

    scores: dict[Measure, float]
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
