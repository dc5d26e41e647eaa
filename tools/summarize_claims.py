"""summarize_claims: counts and sums over the caller's claims, computed by the database."""

from functools import lru_cache
from typing import Final, Literal, LiteralString

from pydantic import Field

from server.catalog.tool import Result, TenantAccess, Tool
from server.catalog.view import View
from server.database.statement import Statement
from tools._claim_filters import STATEMENTS_KEPT, ClaimFilters, Clause, condition, where

_GROUPS_SHOWN: Final = 500
GroupBy = Literal["status", "line_of_business", "week", "month"]
# The totals come first, and one group more tells whether any is left out.
_LIMIT: Final[LiteralString] = "502"
_KEYS: Final[dict[GroupBy | None, LiteralString]] = {
    None: "'all'::text",
    "status": "status",
    "line_of_business": "line_of_business",
    "week": "coalesce(to_char(filed_at AT TIME ZONE 'UTC', 'IYYY-\"W\"IW'), 'infinity')",
    "month": "coalesce(to_char(filed_at AT TIME ZONE 'UTC', 'YYYY-MM'), 'infinity')",
}


class SummarizeClaims(ClaimFilters):
    """Filters and grouping."""

    group_by: GroupBy | None = Field(
        default=None,
        description="One group for each value; weeks are ISO weeks such as 2026-W47. Leave out for totals.",
    )


class _Key(Result):
    key: str = Field(description="The group's value; `all` without group_by.")


class Totals(Result):
    """Count and amounts; amounts are decimal strings."""

    count: int
    total_amount: str
    average_amount: str | None = Field(description="Rounded to cents; null when there are no claims.")
    largest_amount: str | None = Field(description="Null when there are no claims.")


class Group(Totals, _Key):
    """The totals of one group."""


class _Row(Totals):
    """A group, or the totals, where `key` is null."""

    key: str | None


class ClaimsSummary(Result):
    """The groups, in the order of their keys, and the totals over all of them."""

    groups: list[Group] = Field(description=f"At most {_GROUPS_SHOWN} groups.")
    more_groups: bool = Field(description="There were more groups than are shown; narrow the dates. `total` has all.")
    total: Totals
    as_of: str = Field(description="The day (UTC) that periods were resolved against.")
    filed_from: str | None = Field(description="First day of filing that was counted; null for no limit.")
    filed_to: str | None = Field(description="Last day of filing that was counted; null for no limit.")


@lru_cache(STATEMENTS_KEPT)
def _statement(clauses: tuple[Clause, ...], group_by: GroupBy | None) -> Statement[_Row]:
    """Return the statement of one combination of filters; made once, prepared once a connection."""
    return Statement(
        "summarize_claims",
        f"""
        SELECT key, count(*) AS count, coalesce(sum(amount), 0)::numeric(20, 2)::text AS total_amount,
               round(avg(amount), 2)::text AS average_amount, max(amount)::text AS largest_amount
        FROM (SELECT {_KEYS[group_by]} AS key, claim_amount AS amount FROM app.claims WHERE {where(clauses)}) AS claim
        GROUP BY GROUPING SETS ((key), ()) ORDER BY grouping(key) DESC, key LIMIT {_LIMIT}
        """,
        _Row,
    )


async def summarize_claims(arguments: SummarizeClaims, access: TenantAccess) -> ClaimsSummary:
    """Return counts and sums of the caller's claims.

    Raises ArgumentsError for contradicting filters, UnavailableError without the database.
    """
    today = access.now.date()
    first, last = arguments.days(today)
    found = condition(arguments, first, last)
    total, *groups = await access.database.fetch(_statement(found.clauses, arguments.group_by), *found.values)
    return ClaimsSummary(
        groups=[Group.model_validate(group, from_attributes=True) for group in groups[:_GROUPS_SHOWN]],
        more_groups=len(groups) > _GROUPS_SHOWN,
        total=total,
        as_of=today.isoformat(),
        filed_from=first.isoformat() if first else None,
        filed_to=last.isoformat() if last else None,
    )


TOOL: Final = Tool(
    name="summarize_claims",
    title="Count and add up claims",
    description=(
        "Counts the claims of the signed-in person's own tenant and gives their total, average and largest amount, "
        "over all or grouped by status, line of business, week or month. Use it for every question of how many or how "
        "much; the figures are the database's, so do no arithmetic of your own. Filters are those of query_claims, "
        "such as period=last_week. It shows no single claims: use query_claims for those."
    ),
    arguments=SummarizeClaims,
    result=ClaimsSummary,
    scope="claims:read",
    call=summarize_claims,
    view=View(
        name="summarize-claims",
        title="Claims chart",
        description="The groups of summarize_claims as a bar chart and a table.",
        file="summarize_claims.html",
    ),
)
