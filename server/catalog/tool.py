"""What a tool is: a name, texts for the model, two models for its arguments and result, a scope, one function."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, cast

from mcp_types import Tool as ToolDescription
from mcp_types import ToolAnnotations
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from server.catalog.view import View
from server.database.cursors import Cursors
from server.database.database import TenantDatabase
from server.documents.tenant_documents import TenantDocuments
from server.settings import Scope
from server.tenancy.context import TenantContext

# Control characters, lone surrogates, and the bidirectional controls that reorder what a person reads.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("must hold no control characters")
    return text


def _readable(text: str) -> str:
    # Most texts are plain, and this tells it ten times faster than a pattern does.
    return text if text.isprintable() else _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(_printable)]
# Text out of a row or a document: what could move a cursor or reorder a line on a screen is made visible.
Data = Annotated[str, AfterValidator(_readable)]
Amount = Annotated[Decimal, Field(ge=0, lt=100_000_000, decimal_places=2, allow_inf_nan=False)]


class Arguments(BaseModel):
    """The arguments of a tool: an unknown one is an error, never dropped, for a lost filter widens a query."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Result(BaseModel):
    """The result of a tool; its schema is published as `outputSchema`."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """All that a tool is handed: who calls, scoped handles, and the time of the call (UTC)."""

    context: TenantContext
    database: TenantDatabase
    documents: TenantDocuments | None
    cursors: Cursors
    now: datetime


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Tool(Generic[A, R]):
    """One tool of the table; `scope` is what the token needs, None for any signed-in caller."""

    name: str
    title: str
    description: str
    arguments: type[A]
    result: type[R]
    scope: Scope | None
    call: Callable[[A, TenantAccess], Awaitable[R]]
    view: View | None = None

    @cached_property
    def described(self) -> ToolDescription:
        """The entry of tools/list, computed once."""
        return ToolDescription(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=_schema(self.arguments, "validation"),
            output_schema=_schema(self.result, "serialization"),
            annotations=ToolAnnotations(
                read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
            ),
            _meta={"ui": {"resourceUri": self.view.uri}} if self.view else None,
        )


def _schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """Return the model's schema as a language model reads it best: no generated titles, no `or null` for optional."""
    return _plain(model.model_json_schema(mode=mode))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in cast("dict[str, Any]", node).items() if not _is_noise(key, value)}
    alternatives = [kind for kind in plain.get("anyOf", ()) if kind != {"type": "null"}]
    if len(alternatives) == 1 and plain.get("default", ...) is None:
        del plain["anyOf"], plain["default"]
        plain = alternatives[0] | plain
    return plain


def _is_noise(key: str, value: Any) -> bool:
    # A property may be called `title`; then its value is a schema, not a string.
    return key == "title" and isinstance(value, str)
