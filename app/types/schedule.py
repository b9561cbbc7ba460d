"""Windows of the week, for which more is kept ready than the load asks for; knows no clock."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    field_validator,
    model_validator,
)

from app.types.base import Value

MINUTES = 24 * 60
DAY_SECONDS = MINUTES * 60


class Day(StrEnum):
    """The day on which a window begins."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


DAYS = tuple(Day)
"""In the order of `date.weekday`."""


def _as_written(value: Any) -> Any:
    """YAML 1.1 reads 18:00 without quotes as the number 1080, which is its minutes."""
    if type(value) is int and 0 <= value <= MINUTES:
        return f"{value // 60:02}:{value % 60:02}"
    return value


TimeOfDay: TypeAlias = Annotated[
    str, BeforeValidator(_as_written), Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")
]
"""HH:MM by the clock on the wall, 24:00 for the end of the day."""


class Window(Value):
    """A stretch of time that comes again on days of the week, by the clock of a place.

    It ends on the next day where `to` is not after `from`. Where clocks are changed meanwhile it
    is never shortened: of an hour that comes twice it has both, and the hour that is left out
    takes nothing away from it.
    """

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    zone: str
    """A place's name in the IANA time zone database, such as Europe/Berlin."""
    lead_seconds: Annotated[int, Field(ge=0, le=DAY_SECONDS)]
    """How long before its begin it holds already: what machines and models take to start."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            _zone(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(
                f"zone {zone!r} is not in the time zone database; write a place as it has it, "
                "such as Europe/Berlin, or UTC"
            ) from exc
        return zone

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.begin == self.end or self.begin == "24:00":
            raise ValueError(
                f"the window from {self.begin} to {self.end} is empty; "
                "for the whole day write from 00:00 to 24:00"
            )
        return self

    def __str__(self) -> str:
        return f"{', '.join(self.days)} {self.begin} to {self.end} {self.zone}"

    def holds(self, moment: float) -> bool:
        """Whether it, or the lead before it, has that moment, in seconds since the epoch."""
        return any(begin - self.lead_seconds <= moment < end for begin, end in self._about(moment))

    def _about(self, moment: float) -> Iterator[tuple[float, float]]:
        """Begin and end of each time that it comes and that may have the moment."""
        today = datetime.fromtimestamp(moment, _zone(self.zone)).date()
        for offset in (-1, 0, 1, 2):  # over midnight from yesterday; with a lead of a day before
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] in self.days:
                last = day if self.begin < self.end else day + timedelta(days=1)
                yield min(self._readings(day, self.begin)), max(self._readings(last, self.end))

    def _readings(self, day: date, clock: str) -> Iterator[float]:
        """The moments at which the clock says so: it may say so twice, or be past it at once."""
        hour, minute = map(int, clock.split(":"))
        if hour == 24:
            day, hour = day + timedelta(days=1), 0
        for fold in (0, 1):
            yield datetime.combine(day, time(hour, minute, fold=fold), _zone(self.zone)).timestamp()


def highest_floors(floors: Iterable[tuple[Window, int]], moment: float) -> int:
    """The highest number among the windows that hold at that moment; 0 where none does."""
    return max((number for window, number in floors if window.holds(moment)), default=0)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class ReplicaWindow(Window):
    """While it holds, and for `lead_seconds` before, there are no fewer replicas than this."""

    min_replicas: PositiveInt
