"""A named query, wrapped so that the signed tenant context and the query travel in one statement."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import GenericAlias
from typing import Final, Generic, LiteralString, TypeVar, cast

from pydantic import TypeAdapter

R = TypeVar("R")


class Statement(Generic[R]):
    """A named query, wrapped once so that the signed context is set before any row is read.

    The placeholders of `sql` are `$1`, `$2`, …; the context takes the number after the last of them. The answer is
    one row: the tenant that the database enforced, and the rows as a JSON array.
    """

    def __init__(self, name: str, sql: LiteralString, row: type[R]) -> None:
        """Wrap `sql`, whose columns are the fields of `row`, and compute what the signature binds to."""
        numbers = [int(number) for number in re.findall(r"\$(\d+)", sql)]
        self.name: Final = name
        self.read: Final[Callable[[str], list[R]]] = _reader(row)
        context = f"${max(numbers, default=0) + 1}"
        self.text: Final = (
            f"WITH context AS MATERIALIZED (SELECT set_config('tenancy.context', {context}, true) AS c) "
            "SELECT answer.tenant, answer.rows FROM context CROSS JOIN LATERAL ("
            "SELECT (SELECT tenancy.current_tenant()) AS tenant, coalesce(json_agg(r)::text, '[]') AS rows "
            f"FROM ({sql}) AS r WHERE context.c IS NOT NULL) AS answer"
        )
        self.sent: Final = self.text.encode()
        self.digest: Final = hashlib.sha256(self.sent).hexdigest()


@cache
def _reader(row: type[R]) -> Callable[[str], list[R]]:
    """Return what makes rows of a JSON array: one a type, for the many statements that share it."""
    rows = cast("type[list[R]]", GenericAlias(list, row))
    return TypeAdapter(rows).validate_json


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a statement runs for; `tenant` is None only while the tenant is being looked up."""

    issuer: str
    subject: str
    tenant: str | None
    tier: str | None
