"""A declared prompt: a text that a person picks in their client, so that the model uses the right tools."""

import re
from functools import cached_property
from typing import Any, Final

from mcp_types import GetPromptResult, PromptArgument, PromptMessage, TextContent
from mcp_types import Prompt as PromptDescription

from server.catalog import schema
from server.catalog.declarations import Prompt
from server.catalog.schema import Argument, ArgumentSchema
from server.catalog.texts import titled

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")


class DeclaredPrompt:
    """One prompt.

    It is offered when all of its tools are. It contains no tenant's data, so any valid token may read it; its tools
    require their own scopes.
    """

    def __init__(self, declared: Prompt) -> None:
        """Read the declaration once."""
        self.name: Final = declared.name
        self.tools: Final = frozenset(declared.tools)
        self._declared: Final = declared
        self._arguments: Final = ArgumentSchema(
            "Arguments.",
            [
                Argument(name, schema.text(one.max_length), one.description, one.required, None if one.required else "")
                for name, one in declared.arguments.items()
            ],
        )

    @cached_property
    def described(self) -> PromptDescription:
        """The entry of prompts/list, computed once."""
        return PromptDescription(
            name=self.name,
            title=self._declared.title or titled(self.name),
            description=self._declared.description,
            arguments=[
                PromptArgument(name=name, description=one.description, required=one.required)
                for name, one in self._declared.arguments.items()
            ],
        )

    def rendered(self, arguments: dict[str, Any]) -> GetPromptResult:
        """Return the message for the model; raises ArgumentsError that names each wrong argument."""
        given = self._arguments.parse(arguments)
        # One pass: braces inside an argument are not replaced.
        text = _PLACEHOLDER.sub(lambda found: str(given.get(found[1], found[0])), self._declared.text)
        return GetPromptResult(
            description=self._declared.description,
            messages=[PromptMessage(role="user", content=TextContent(text=text))],
        )


def unknown_placeholders(declared: Prompt) -> list[str]:
    """Return the names in braces that are not arguments of the prompt."""
    return [name for name in _PLACEHOLDER.findall(declared.text) if name not in declared.arguments]
