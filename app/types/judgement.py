"""Judgement: rules over measures, what follows when they are broken, and what a judge said."""

from enum import StrEnum

from app.types.base import Value
from app.types.measures import Measure


class Verdict(StrEnum):
    """What the judge says of one image."""

    ACCEPT = "accept"
    REVIEW = "review"
    RETRY = "retry"
    REJECT = "reject"


class Rule(Value):
    """One acceptance rule: a measure, its limits, and what follows when it is broken."""

    check: Measure
    at_least: float | None = None
    at_most: float | None = None
    otherwise: Verdict = Verdict.RETRY

    def holds(self, score: float) -> bool:
        """Whether the score lies inside the limits."""
        above = self.at_least is None or score >= self.at_least
        return above and (self.at_most is None or score <= self.at_most)

    def __str__(self) -> str:
        """The rule as a person would say it: agreement >= 0.5."""
        low = [f"{self.check} >= {self.at_least:g}"] if self.at_least is not None else []
        high = [f"{self.check} <= {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(low + high)


class BrandRule(Rule):
    """A rule that a plan's brand asks for, with what its measure is held against."""

    pillar: str
    """Its place in the brand: palette, framing.margin."""
    colours: tuple[str, ...] = ()
    angle: float = 0.0
    """Where the light comes from, in degrees clockwise from above."""
    ground: str = ""
    """`transparent`, `plate`, or a colour as #rrggbb."""

    def __str__(self) -> str:
        """The rule by its place in the brand: brand.palette: palette_error <= 12."""
        return f"brand.{self.pillar}: {super().__str__()}"


class Finding(Value):
    """One rule that spoke: its measure, the number (None: not measured), the rule, what follows."""

    check: Measure
    score: float | None
    rule: str
    verdict: Verdict


class QualityReport(Value):
    """The judge's answer for one image."""

    scores: dict[Measure, float]
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
