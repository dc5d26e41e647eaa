"""The filters that query_claims and summarize_claims share, as arguments and as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, LiteralString

from pydantic import Field, StringConstraints

from server.catalog.tool import Amount, Arguments, Text
from server.errors import ArgumentsError
from tools._periods import Period, resolve

Status = Literal["open", "pending", "approved", "denied", "closed"]
LineOfBusiness = Literal["auto", "home", "life", "health", "commercial"]

# Clauses come in 256 combinations, orders and groupings in a few more; the rare ones are made anew.
STATEMENTS_KEPT: Final = 512
Clause = tuple[LiteralString, LiteralString]
# Spelled out, because what is sent must be text of this program and nothing else.
PLACEHOLDERS: Final[tuple[LiteralString, ...]] = ("$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11")


class ClaimFilters(Arguments):
    """Every filter narrows; all that are given must hold."""

    status: Status | None = Field(default=None, description="Only claims in this state.")
    line_of_business: LineOfBusiness | None = Field(default=None, description="Only claims of this line of business.")
    claim_number: Annotated[Text, StringConstraints(max_length=100)] | None = Field(
        default=None, description="Exactly this claim number, such as CLM-0001."
    )
    customer_name: Annotated[Text, StringConstraints(max_length=200)] | None = Field(
        default=None, description="Part of the customer's name, in any letter case."
    )
    period: Period | None = Field(
        default=None,
        description="When it was filed, in UTC; weeks run from Monday. Not together with filed_from or filed_to.",
    )
    filed_from: date | None = Field(default=None, description="Filed on this day (YYYY-MM-DD, UTC) or later.")
    filed_to: date | None = Field(default=None, description="Filed on this day (YYYY-MM-DD, UTC) or earlier.")
    min_amount: Amount | None = Field(default=None, description="Claimed amount of at least this.")
    max_amount: Amount | None = Field(default=None, description="Claimed amount of at most this.")

    def days(self, today: date) -> tuple[date | None, date | None]:
        """Return the first and the last day of filing; raise ArgumentsError when the filters contradict each other."""
        if self.period and (self.filed_from or self.filed_to):
            raise ArgumentsError("Give either period or filed_from and filed_to, not both; nothing was read.")
        first, last = resolve(self.period, today) if self.period else (self.filed_from, self.filed_to)
        if first and last and first > last:
            raise ArgumentsError("filed_from is later than filed_to; swap them. Nothing was read.")
        if self.min_amount is not None and self.max_amount is not None and self.min_amount > self.max_amount:
            raise ArgumentsError("min_amount is larger than max_amount; swap them. Nothing was read.")
        return first, last


@dataclass(frozen=True, slots=True)
class Condition:
    """Conditions of a WHERE clause over app.claims, each left of its placeholder, with the values to bind."""

    clauses: tuple[Clause, ...]
    values: tuple[object, ...]


def where(clauses: Sequence[Clause]) -> LiteralString:
    """Join clauses, each a text before and a text after its placeholder."""
    parts: list[LiteralString] = []
    for placeholder, (before, after) in zip(PLACEHOLDERS, clauses, strict=False):
        parts.append(before + placeholder + after)
    return " AND ".join(parts) or "true"


def condition(filters: ClaimFilters, first: date | None, last: date | None) -> Condition:
    """Return the SQL of the filters that are given; only these, so that an index can serve them."""
    after_last = last + timedelta(days=1) if last and last < date.max else None
    given: tuple[tuple[LiteralString, LiteralString, object], ...] = (
        ("status = ", "", filters.status),
        ("line_of_business = ", "", filters.line_of_business),
        ("claim_number = ", "", filters.claim_number),
        # Not LIKE: in a name, % and _ are characters.
        ("position(lower(", "::text) in lower(customer_name)) > 0", filters.customer_name),
        # Days of UTC, whatever the session's time zone.
        ("filed_at >= ", "::timestamp AT TIME ZONE 'UTC'", first),
        ("filed_at < ", "::timestamp AT TIME ZONE 'UTC'", after_last),
        ("claim_amount >= ", "::numeric", filters.min_amount),
        ("claim_amount <= ", "::numeric", filters.max_amount),
    )
    used = [one for one in given if one[2] is not None]
    return Condition(tuple((before, after) for before, after, _ in used), tuple(_bound(value) for _, _, value in used))


def _bound(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value
