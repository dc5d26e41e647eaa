"""Named periods such as last_week, resolved to days; weeks are ISO weeks, Monday to Sunday."""

from datetime import date, timedelta
from typing import Final, Literal, get_args

Period = Literal[
    "today",
    "yesterday",
    "this_week",
    "last_week",
    "last_7_days",
    "this_month",
    "last_month",
    "last_30_days",
    "this_year",
]
PERIODS: Final[tuple[str, ...]] = get_args(Period)


def resolve(period: Period, today: date) -> tuple[date, date]:  # noqa: PLR0911  # one return per period
    """Return the first and the last day of `period`, both included."""
    day = timedelta(days=1)
    monday = today - today.weekday() * day
    first = today.replace(day=1)
    match period:
        case "today":
            return today, today
        case "yesterday":
            return today - day, today - day
        case "this_week":
            return monday, monday + 6 * day
        case "last_week":
            return monday - 7 * day, monday - day
        case "last_7_days":
            return today - 6 * day, today
        case "this_month":
            return first, (first + 31 * day).replace(day=1) - day
        case "last_month":
            return (first - day).replace(day=1), first - day
        case "last_30_days":
            return today - 29 * day, today
        case "this_year":
            return today.replace(month=1, day=1), today.replace(month=12, day=31)
