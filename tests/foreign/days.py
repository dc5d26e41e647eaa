"""The calendar as PostgreSQL counts it, from long before the year 1 to infinity, in plain arithmetic.

A day is the number of days since 1970-01-01, a moment the number of microseconds; infinity is FOREVER.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

FOREVER: Final = math.inf
Number = int | float

_DAY_US: Final = 86_400_000_000
_CYCLE_DAYS: Final = 146_097
_TEXT: Final = re.compile(
    r"(?P<y>\d{4,})-(?P<m>\d\d)-(?P<d>\d\d)"
    r"(?:[ T](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<F>\d+))?(?:\+00|Z)?)?(?P<BC> BC)?"
)
PERIODS: Final = (
    *("today", "yesterday", "this_week", "last_week", "last_7_days"),
    *("this_month", "last_month", "last_30_days", "this_year"),
)


def number_of(year: int, month: int, day: int) -> int:
    """Return the day of a date of the Gregorian calendar; the year before 1 is 0."""
    shifted, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    era, of_era = divmod(shifted, 400)
    return era * _CYCLE_DAYS + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 719_469


def date_of(day: int) -> tuple[int, int, int]:
    """Return year, month and day of a day."""
    era, of_era = divmod(day + 719_468, _CYCLE_DAYS)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    number = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return era * 400 + year + (month < 3), month, number


def parse_day(text: str) -> Number:
    """Return the day that PostgreSQL writes like this."""
    return text_to_number(text)[0]


def parse_moment(text: str) -> Number:
    """Return the moment that PostgreSQL writes like this, in UTC or without a zone."""
    day, of_day = text_to_number(text)
    return day * _DAY_US + of_day if abs(day) != FOREVER else day


def text_to_number(text: str) -> tuple[Number, int]:
    """Return the day and the microseconds since its beginning."""
    if text.endswith("infinity"):
        return (-FOREVER if text.startswith("-") else FOREVER), 0
    found = _TEXT.fullmatch(text)
    assert found, text
    year = int(found["y"])
    day = number_of(1 - year if found["BC"] else year, int(found["m"]), int(found["d"]))
    seconds = int(found["H"] or 0) * 3600 + int(found["M"] or 0) * 60 + int(found["S"] or 0)
    return day, seconds * 1_000_000 + int((found["F"] or "0").ljust(6, "0"))


def day_of_moment(moment: Number, zone: str) -> Number:
    """Return the day that it is in `zone` at a moment."""
    if abs(moment) == FOREVER:
        return moment
    return int(moment + _offset_us(int(moment), zone)) // _DAY_US


def _offset_us(moment: int, zone: str) -> int:
    """Return how far the clocks of `zone` are ahead of UTC; the last known rules are those of all later years."""
    if zone == "UTC":
        return 0
    year, _, _ = date_of(moment // _DAY_US)
    if year > 2400:
        moment -= (year - 2000) // 400 * _CYCLE_DAYS * _DAY_US
    elif year < 2:
        moment = number_of(2, 1, 1) * _DAY_US
    there = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))
    offset = there.utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def show_day(day: Number) -> str:
    """Return a day as PostgreSQL writes it in ISO 8601."""
    return bucket(day, "day")


def bucket(day: Number, length: str) -> str:
    """Return the key of the day, week, month or year that a day lies in."""
    if abs(day) == FOREVER:
        return "infinity" if day > 0 else "-infinity"
    day = int(day)
    year, month, number = date_of(day)
    weekday = (day + 3) % 7
    match length:
        case "day":
            text = f"-{month:02}-{number:02}"
        case "week":
            thursday = day - weekday + 3
            year = date_of(thursday)[0]
            text = f"-W{(thursday - number_of(year, 1, 1)) // 7 + 1:02}"
        case "month":
            text = f"-{month:02}"
        case _:
            text = ""
    return f"{year:04}{text}" if year > 0 else f"{1 - year:04}{text} BC"


def days_of(period: str, today: date) -> tuple[date, date]:
    """Return the first and last day of a period, found by asking each day of three years whether it belongs."""
    around = [today + timedelta(days=n) for n in range(-750, 400)]
    iso, last = today.isocalendar()[:2], (today - timedelta(days=7)).isocalendar()[:2]
    previous = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
    belongs: dict[str, Callable[[date], bool]] = {
        "today": lambda day: day == today,
        "yesterday": lambda day: (today - day).days == 1,
        "this_week": lambda day: day.isocalendar()[:2] == iso,
        "last_week": lambda day: day.isocalendar()[:2] == last,
        "last_7_days": lambda day: 0 <= (today - day).days < 7,
        "this_month": lambda day: (day.year, day.month) == (today.year, today.month),
        "last_month": lambda day: (day.year, day.month) == previous,
        "last_30_days": lambda day: 0 <= (today - day).days < 30,
        "this_year": lambda day: day.year == today.year,
    }
    found = [day for day in around if belongs[period](day)]
    return found[0], found[-1]
