"""weekly_claims_review: what was filed last week, against the weeks before it."""

from typing import Final

from server.protocol.prompt import DATA, FIGURES, NoArguments, Prompt

_TEXT: Final = f"""\
Review the insurance claims that were filed last week.

Gather the facts, in this order:
1. summarize_claims with period=last_week and group_by=status.
2. summarize_claims with period=last_week and group_by=line_of_business.
3. summarize_claims with period=last_30_days and group_by=week, to see whether last week was unusual.
4. query_claims with period=last_week, sort=amount and limit=5, for the largest claims.

Then write at most one page: the number of claims and their total amount with the dates they cover, what stands out by \
status and by line of business, how last week compares with the weeks before, the largest claims with number and \
amount, and what needs attention next. The first and the last week of step 3 may be cut off by its dates; say so where \
it matters. If nothing was filed last week, say that and stop.

{FIGURES} {DATA}"""


PROMPT: Final = Prompt(
    name="weekly_claims_review",
    title="Weekly claims review",
    description="One page on the claims filed last week: how many, how much, what stands out, what needs attention.",
    arguments=NoArguments,
    tools=frozenset({"summarize_claims", "query_claims"}),
    text=lambda _: _TEXT,
)
