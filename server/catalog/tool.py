"""The base classes of all tools and of tools written in code."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from mcp_types import Tool as ToolDescription
from mcp_types import ToolAnnotations
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import SchemaValidator

from server.audit.evidence import digest_of
from server.catalog.access import TenantAccess
from server.catalog.arguments import parse
from server.catalog.texts import plain_schema, printable, readable
from server.catalog.view import View
from server.settings import Scope

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(printable)]
# Text from a row or a document: characters that could move the screen's cursor or reorder a line are replaced.
Data = Annotated[str, AfterValidator(readable)]
_READS_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
# Only the two hints that matter for a tool that only reads.
_READS_ONLY_IN_BRIEF = ToolAnnotations(read_only_hint=True, open_world_hint=False)


class Tool(ABC):
    """One tool of the server; `scope` is the scope that the token needs, None for any signed-in caller.

    `needs_tenant` is False only for a tool that also answers people without a tenant; `view` is a page for clients that
    can show its result.
    """

    name: str
    scope: str | None
    needs_tenant: bool = True
    view: View | None = None

    @cached_property
    def described(self) -> ToolDescription:
        """The entry of tools/list, computed once."""
        return self.describe()

    @cached_property
    def definition(self) -> str:
        """The digest of that entry, computed once; the audit record shows with it which description the model saw."""
        return digest_of(self.described.model_dump_json(by_alias=True, exclude_none=True).encode())

    @abstractmethod
    def describe(self) -> ToolDescription:
        """Return the entry of tools/list."""

    @abstractmethod
    async def answer(self, arguments: dict[str, Any], access: TenantAccess) -> bytes:
        """Return the result as JSON text; raises ToolError with a message for the model."""


def description_of(  # noqa: PLR0913  # the parts of an entry
    name: str,
    title: str | None,
    text: str,
    *,
    arguments: dict[str, Any],
    result: dict[str, Any] | None,
    view: View | None = None,
) -> ToolDescription:
    """Return the entry of tools/list for a tool that only reads; in a brief one, `title` and `result` can be None."""
    return ToolDescription(
        name=name,
        title=title,
        description=text,
        input_schema=arguments,
        output_schema=result,
        annotations=_READS_ONLY if result is not None else _READS_ONLY_IN_BRIEF,
        _meta={"ui": {"resourceUri": view.uri}} if view else None,
    )


class Arguments(BaseModel):
    """The arguments of a tool in code: an unknown one is an error, since dropping a filter would return more rows."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Result(BaseModel):
    """The result of a tool in code; its schema is published as `outputSchema`."""

    model_config = ConfigDict(frozen=True)


A = TypeVar("A", bound=Arguments)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class CodeTool(Tool, Generic[A, R]):
    """A tool written in Python: a file of the catalog assigns it to `TOOL`."""

    name: str
    title: str
    description: str
    arguments: type[A]
    result: type[R]
    scope: Scope | None
    call: Callable[[A, TenantAccess], Awaitable[R]]
    view: View | None = None
    needs_tenant: bool = True

    def describe(self) -> ToolDescription:
        """Return the entry of tools/list."""
        return description_of(
            self.name,
            self.title,
            self.description,
            arguments=_schema(self.arguments, "validation"),
            result=_schema(self.result, "serialization"),
            view=self.view,
        )

    @cached_property
    def _names(self) -> dict[str, bool]:
        return {field.alias or name: field.is_required() for name, field in self.arguments.model_fields.items()}

    async def answer(self, arguments: dict[str, Any], access: TenantAccess) -> bytes:
        """Validate the arguments, call the function and return its result as JSON text."""
        validator = cast("SchemaValidator", self.arguments.__pydantic_validator__)
        fields = parse(validator, self._names, arguments)
        return (await self.call(fields, access)).model_dump_json().encode()


def _schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    return plain_schema(model.model_json_schema(mode=mode))
