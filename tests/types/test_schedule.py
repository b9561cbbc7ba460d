"""Windows of the week: what a clock on a wall says, wherever it is, and when it is changed."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.types.schedule import DAY_SECONDS, DAYS, Window, highest_floors

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
MONDAY = datetime(2026, 11, 23, tzinfo=ZoneInfo("UTC"))


def window_of(**changes: Any) -> Window:
    """Mondays from eight to ten in Berlin, and no lead."""
    fields = {
        "days": ["mon"],
        "from": "08:00",
        "to": "10:00",
        "zone": "Europe/Berlin",
        "lead_seconds": 0,
    }
    return Window.model_validate(fields | changes)


def held(window: Window, *local: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> bool:
    """Whether it holds at year, month, day, hour, minute of a place."""
    return window.holds(datetime(*local, tzinfo=zone, fold=fold).timestamp())  # type: ignore[arg-type]


# one window


def test_a_window_has_its_begin_and_not_its_end_on_its_days_alone() -> None:
    window = window_of()
    assert not held(window, 2026, 11, 23, 7, 59)
    assert held(window, 2026, 11, 23, 8, 0)
    assert held(window, 2026, 11, 23, 9, 59)
    assert not held(window, 2026, 11, 23, 10, 0)
    assert not held(window, 2026, 11, 24, 9, 0)


def test_the_clock_is_that_of_the_place() -> None:
    window = window_of(zone="America/New_York")
    assert not held(window, 2026, 11, 23, 9, 0)
    assert held(window, 2026, 11, 23, 9, 0, zone=ZoneInfo("America/New_York"))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = window_of(**{"from": "22:00", "to": "02:00"})
    assert not held(window, 2026, 11, 23, 1, 0)
    assert held(window, 2026, 11, 23, 23, 0)
    assert held(window, 2026, 11, 24, 1, 59)
    assert not held(window, 2026, 11, 24, 2, 0)
    assert not held(window, 2026, 11, 24, 23, 0)


def test_the_lead_comes_before_the_begin_and_over_midnight_too() -> None:
    window = window_of(**{"from": "00:30", "lead_seconds": 3600})
    assert not held(window, 2026, 11, 22, 23, 29)
    assert held(window, 2026, 11, 22, 23, 30)
    assert held(window, 2026, 11, 23, 0, 0)


def test_the_whole_day_is_from_midnight_to_24() -> None:
    window = window_of(**{"from": "00:00", "to": "24:00"})
    assert not held(window, 2026, 11, 22, 23, 59)
    assert held(window, 2026, 11, 23, 0, 0)
    assert held(window, 2026, 11, 23, 23, 59)
    assert not held(window, 2026, 11, 24, 0, 0)


def test_a_window_in_the_hour_that_is_left_out_is_not_lost() -> None:
    window = window_of(**{"days": ["sun"], "from": "02:15", "to": "02:45"})
    moments = [datetime(2026, 3, 29, 1, minute, tzinfo=BERLIN) for minute in range(60)]
    assert any(
        window.holds(moment.timestamp() + hour * 3600) for moment in moments for hour in (0, 1)
    )


def test_a_window_in_the_hour_that_comes_twice_has_both() -> None:
    window = window_of(**{"days": ["sun"], "from": "02:15", "to": "02:45"})
    assert held(window, 2026, 10, 25, 2, 30, fold=0)
    assert held(window, 2026, 10, 25, 2, 30, fold=1)
    assert not held(window, 2026, 10, 25, 3, 0)


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60 - 1),
    hours=st.integers(0, 366 * 24),
    lead=st.integers(0, DAY_SECONDS),
)
def test_a_window_of_every_day_holds_when_the_clock_is_between_its_times(
    zone: str, start: int, length: int, hours: int, lead: int
) -> None:
    def clock_text(minutes: int) -> str:
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}"

    end = start + length
    window = window_of(
        **{"days": list(DAYS), "from": clock_text(start), "to": clock_text(end), "zone": zone},
        lead_seconds=lead,
    )
    moment = (MONDAY + timedelta(hours=hours)).timestamp()
    now = datetime.fromtimestamp(moment, ZoneInfo(zone))
    minutes = now.hour * 60 + now.minute
    if start <= minutes < end or minutes < end - 24 * 60:
        assert window.holds(moment)
    if window_of(**{**window.as_json(), "lead_seconds": 0}).holds(moment):
        assert window.holds(moment)  # a lead takes nothing away


# several


def test_of_windows_that_overlap_the_highest_counts_and_outside_there_is_no_floor() -> None:
    floors = [(window_of(), 2), (window_of(**{"from": "09:00", "to": "11:00"}), 5)]

    def at(hour: int) -> int:
        return highest_floors(floors, datetime(2026, 11, 23, hour, tzinfo=BERLIN).timestamp())

    assert [at(hour) for hour in (7, 8, 9, 10, 11)] == [0, 2, 5, 5, 0]


# what is written


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zone": "Mars/Olympus"}, "zone 'Mars/Olympus' is not in the time zone database"),
        ({"zone": "../etc/passwd"}, "is not in the time zone database"),
        ({"zone": ""}, "is not in the time zone database"),
        ({"to": "08:00"}, "from 08:00 to 08:00 is empty"),
        ({"from": "24:00"}, "from 24:00 to 10:00 is empty"),
        ({"days": []}, "days"),
        ({"days": ["monday"]}, "days"),
        ({"from": "8am"}, "from"),
        ({"to": "25:00"}, "to"),
        ({"lead_seconds": -1}, "lead_seconds"),
        ({"lead_seconds": DAY_SECONDS + 1}, "lead_seconds"),
        ({"until": "10:00"}, "until"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_by_name(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        window_of(**changes)


def test_times_without_quotes_are_the_times_that_were_meant() -> None:
    written = yaml.safe_load("{days: [mon], from: 8:05, to: 18:00, zone: UTC, lead_seconds: 0}")
    window = Window.model_validate(written)
    assert (window.begin, window.end) == ("08:05", "18:00")


def test_a_window_is_the_same_after_json() -> None:
    window = window_of()
    assert Window.model_validate(window.as_json()) == window
    assert window.replace(end="11:00").end == "11:00"
