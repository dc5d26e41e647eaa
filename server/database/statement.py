"""A named query, wrapped so that one statement sends the signed tenant context and the query."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import GenericAlias
from typing import Any, Final, Generic, LiteralString, NamedTuple, TypeVar, cast

from psycopg.sql import Composable, Composed
from pydantic import TypeAdapter
from pydantic_core import from_json

R = TypeVar("R")
# The query can see this table and column, so no query may use this name.
_CONTEXT: Final[LiteralString] = "tenantgate_context"


class Outputs(NamedTuple):
    """The parts of an answer from rows `r`, each an expression.

    `row` is what is shown of a row, `texts` are more texts that are computed from all rows, and `tenant` is a row's own
    tenant where the table has it as a text.
    """

    row: Composable
    texts: Sequence[Composable]
    tenant: Composable | None = None


class Statement(Generic[R]):
    """A named query, wrapped once so that the signed context is set before any row is read.

    The placeholders of `sql` are `$1`, `$2`, …; the context has the next number after them. The answer is one row: the
    tenant that the database enforced, the rows as a JSON array, and the texts of `outputs`.

    The tenant is that of all rows, where each has its own (`is_confirmed_by_rows`), and empty if two differ; else that
    of the verified context.
    """

    def __init__(  # noqa: PLR0913  # the parts of a statement
        self,
        name: str,
        sql: LiteralString | Composed,
        row: type[R],
        *,
        parameters: int | None = None,
        read: Callable[..., list[R]] | None = None,
        outputs: Outputs | None = None,
    ) -> None:
        """Wrap `sql`, whose columns are the fields of `row`, and compute the digest for the signature.

        `parameters` is the number of its placeholders; without it they are counted in the text. `read` converts the
        JSON array of its rows, and the texts of `outputs`; without it, pydantic does.
        """
        text = sql.as_string() if isinstance(sql, Composed) else sql
        if parameters is None:
            parameters = max((int(number) for number in re.findall(r"\$(\d+)", text)), default=0)
        self.name: Final = name
        self.read: Final[Callable[..., list[R]]] = read or _reader(row)
        self.is_confirmed_by_rows: Final = outputs is not None and outputs.tenant is not None
        context = f"${parameters + 1}"
        self.text: Final = (
            f"WITH {_CONTEXT} AS MATERIALIZED (SELECT set_config('tenancy.context', {context}, true) AS {_CONTEXT}) "
            f"SELECT answer.* FROM {_CONTEXT} CROSS JOIN LATERAL ("
            f"SELECT {_tenant(outputs)} AS tenant, {_outputs(outputs)} "
            f"FROM ({text}\n) AS r WHERE {_CONTEXT}.{_CONTEXT} IS NOT NULL) AS answer"
        )
        self.sent: Final = self.text.encode()
        self.digest: Final = hashlib.sha256(self.sent).hexdigest()


def _tenant(outputs: Outputs | None) -> str:
    enforced = "(SELECT tenancy.current_tenant())"
    if outputs is None or outputs.tenant is None:
        return enforced
    # The policy has verified the context for the rows; to verify it once more would be a sixth of the statement.
    own = outputs.tenant.as_string()
    # Rows without a tenant count as rows of another one.
    same = f"count({own}) = count(*) AND min({own}) = max({own})"
    return f"CASE WHEN count(*) = 0 THEN {enforced} WHEN {same} THEN min({own}) ELSE '' END"


def _outputs(outputs: Outputs | None) -> str:
    row, texts = ("r", ()) if outputs is None else (outputs.row.as_string(), outputs.texts)
    more = "".join(f", {one.as_string()} AS text{place}" for place, one in enumerate(texts))
    return f"coalesce(json_agg({row})::text, '[]') AS rows{more}"


Row = dict[str, Any]


@cache
def _reader(row: type[R]) -> Callable[[bytes], list[R]]:
    """Return the function that converts the JSON array to rows; statements with the same row type share it."""
    if row == Row:
        return cast("Callable[[bytes], list[R]]", read_rows)
    rows = cast("type[list[R]]", GenericAlias(list, row))
    return TypeAdapter(rows).validate_json


def read_rows(text: bytes) -> list[Row]:
    """Return the rows of a JSON array as dictionaries."""
    try:
        return from_json(text)
    except ValueError:
        # PostgreSQL's type json may contain half of a surrogate pair; it is made readable later.
        return json.loads(text)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a statement and the request; `tenant` is None only while the tenant is being looked up."""

    issuer: str
    subject: str
    tenant: str | None
    tier: str | None
    request: str = ""
