"""What the two claims tools promise, once more in plain Python over one tenant's rows: slow, simple, independent."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Row:
    """A row of app.claims, as a superuser reads it."""

    id: int
    claim_number: str
    customer_name: str
    claim_amount: Decimal
    status: str
    line_of_business: str
    filed_at: datetime
    description: str


def days_of(period: str, today: date) -> tuple[date, date]:
    """Return the first and last day, found by asking each day of three years what it is."""
    around = [today + timedelta(days=n) for n in range(-750, 400)]
    iso = today.isocalendar()
    previous_month = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
    one_week_ago = (today - timedelta(days=7)).isocalendar()
    kinds: dict[str, Callable[[date], bool]] = {
        "today": lambda day: day == today,
        "yesterday": lambda day: (today - day).days == 1,
        "this_week": lambda day: day.isocalendar()[:2] == iso[:2],
        "last_week": lambda day: day.isocalendar()[:2] == one_week_ago[:2],
        "last_7_days": lambda day: 0 <= (today - day).days < 7,
        "this_month": lambda day: (day.year, day.month) == (today.year, today.month),
        "last_month": lambda day: (day.year, day.month) == previous_month,
        "last_30_days": lambda day: 0 <= (today - day).days < 30,
        "this_year": lambda day: day.year == today.year,
    }
    found = [day for day in around if kinds[period](day)]
    return found[0], found[-1]


def range_of(arguments: dict[str, Any], today: date) -> tuple[date | None, date | None]:
    """Return the days that the arguments ask for."""
    if "period" in arguments:
        return days_of(arguments["period"], today)
    first, last = arguments.get("filed_from"), arguments.get("filed_to")
    return first and date.fromisoformat(first), last and date.fromisoformat(last)


def lower(text: str) -> str:
    """Lower each character by itself, as PostgreSQL's built-in C.UTF-8 does: a dotted capital I becomes an i."""
    return "".join("i" if one == "\u0130" else one.lower() for one in text)


def selected(rows: Sequence[Row], arguments: dict[str, Any], today: date) -> list[Row]:
    """Return the rows that meet every filter."""
    first, last = range_of(arguments, today)

    def meets(row: Row) -> bool:
        day = row.filed_at.astimezone(UTC).date()
        return (
            arguments.get("status") in {None, row.status}
            and arguments.get("line_of_business") in {None, row.line_of_business}
            and arguments.get("claim_number") in {None, row.claim_number}
            and lower(arguments.get("customer_name", "").strip()) in lower(row.customer_name)
            and (first is None or day >= first)
            and (last is None or day <= last)
            and row.claim_amount >= Decimal(arguments.get("min_amount", 0))
            and row.claim_amount <= Decimal(arguments.get("max_amount", 100_000_000))
        )

    return [row for row in rows if meets(row)]


def cut(text: str, characters: int) -> str:
    """Return the text as it is shown."""
    return UNREADABLE.sub("\ufffd", text if len(text) <= characters else text[: characters - 1] + "…")


def expected_claims(rows: Sequence[Row], arguments: dict[str, Any], today: date) -> list[dict[str, Any]]:
    """Return all claims in order, over all pages."""
    orders: dict[str, Callable[[Row], tuple[Any, int]]] = {
        "filed_at": lambda row: (row.filed_at, row.id),
        "amount": lambda row: (row.claim_amount, row.id),
        "customer_name": lambda row: (row.customer_name[:200], row.id),
    }
    order = orders[arguments.get("sort", "filed_at")]
    ordered = sorted(selected(rows, arguments, today), key=order, reverse=arguments.get("descending", True))
    return [
        {
            "claim_number": cut(row.claim_number, 100),
            "customer_name": cut(row.customer_name, 200),
            "amount": f"{row.claim_amount:.2f}",
            "status": row.status,
            "line_of_business": row.line_of_business,
            "filed_at": row.filed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "description": cut(row.description, 500),
        }
        for row in ordered
    ]


def totals(rows: Sequence[Row]) -> dict[str, Any]:
    """Return count and amounts."""
    amounts = [row.claim_amount for row in rows]
    total = sum(amounts, Decimal("0.00"))
    average = (total / len(amounts)).quantize(CENT, ROUND_HALF_UP) if amounts else None
    return {
        "count": len(amounts),
        "total_amount": f"{total:.2f}",
        "average_amount": None if average is None else f"{average:.2f}",
        "largest_amount": f"{max(amounts):.2f}" if amounts else None,
    }


def expected_summary(rows: Sequence[Row], arguments: dict[str, Any], today: date) -> dict[str, Any]:
    """Return the groups in the order of their keys, and the totals."""
    found = selected(rows, arguments, today)

    def key(row: Row) -> str:
        filed = row.filed_at.astimezone(UTC)
        match arguments.get("group_by"):
            case None:
                return "all"
            case "week":
                return f"{filed.isocalendar().year:04}-W{filed.isocalendar().week:02}"
            case "month":
                return f"{filed.year:04}-{filed.month:02}"
            case column:
                return getattr(row, column)

    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(key(row), []).append(row)
    return {"groups": [{"key": one, **totals(groups[one])} for one in sorted(groups)], "total": totals(found)}
