"""Weekly windows in which a minimum of replicas is kept ready; the time is an argument."""

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
    """Returns HH:MM for an int: YAML 1.1 reads an unquoted 18:00 as 1080, its number of minutes."""
    if type(value) is int and 0 <= value <= MINUTES:
        return f"{value // 60:02}:{value % 60:02}"
    return value


TimeOfDay: TypeAlias = Annotated[
    str, BeforeValidator(_as_written), Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")
]
"""HH:MM in local time; 24:00 is the end of the day."""


class Window(Value):
    """A period that repeats on days of the week, in the local time of a zone.

    It ends on the next day where `to` is not after `from`. A clock change never shortens it: an
    hour that occurs twice counts both times, and a skipped hour takes nothing away.
    """

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    days: Annotated[tuple[Day, ...], Field(min_length=1)]
    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    zone: str
    """A name in the IANA time zone database, such as Europe/Berlin."""
    lead_seconds: Annotated[int, Field(ge=0, le=DAY_SECONDS)]
    """How long before `from` the window already holds: the start time of machines and models."""

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
        """Returns whether `moment` (seconds since the epoch) lies in the window or its lead."""
        return any(begin - self.lead_seconds <= moment < end for begin, end in self._about(moment))

    def _about(self, moment: float) -> Iterator[tuple[float, float]]:
        """Yields begin and end of each occurrence that may contain the moment."""
        today = datetime.fromtimestamp(moment, _zone(self.zone)).date()
        for offset in (-1, 0, 1, 2):  # yesterday's may last past midnight; a lead is up to a day
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] in self.days:
                last = day if self.begin < self.end else day + timedelta(days=1)
                yield min(self._readings(day, self.begin)), max(self._readings(last, self.end))

    def _readings(self, day: date, clock: str) -> Iterator[float]:
        """Yields the moments with this local time; the two differ where clocks change."""
        hour, minute = map(int, clock.split(":"))
        if hour == 24:
            day, hour = day + timedelta(days=1), 0
        for fold in (0, 1):
            yield datetime.combine(day, time(hour, minute, fold=fold), _zone(self.zone)).timestamp()


def highest_floors(floors: Iterable[tuple[Window, int]], moment: float) -> int:
    """Returns the highest number among the windows that hold at that moment; 0 if none does."""
    return max((number for window, number in floors if window.holds(moment)), default=0)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class ReplicaWindow(Window):
    """A window during which, and `lead_seconds` before, at least `min_replicas` replicas run."""

    min_replicas: PositiveInt
