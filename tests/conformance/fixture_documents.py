"""The resources, prompts and completions that the conformance suite reads; names and texts are the suite's own."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from fixture_tools import IMAGE, PNG, Answer, Context, elicitation, embedded, text
from mcp.server import Server
from mcp_types import (
    CompleteRequestParams,
    CompleteResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
)

from server.protocol.catalogue import Catalogue

# What a list of the 2026-07-28 revision says about its age; for our own lists the protocol adds it.
FRESH: Final = {"ttlMs": 60_000, "cacheScope": "private"}

STATIC: Final[Mapping[str, Answer]] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
}
TEMPLATE: Final = "test://template/{id}/data"
_OF_TEMPLATE: Final = re.compile(r"test://template/([^/]+)/data")

PROMPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
CONTEXT: Final = elicitation("What context should the prompt use?", context={"type": "string"})


LISTED_RESOURCES: Final = [
    Resource.model_validate({"uri": uri, "name": uri, "description": "A fixture.", "mimeType": one["mimeType"]})
    for uri, one in STATIC.items()
]
LISTED_PROMPTS: Final = [
    Prompt.model_validate(
        {
            "name": name,
            "description": "A fixture.",
            "arguments": [{"name": one, "description": "An argument.", "required": True} for one in arguments],
        }
    )
    for name, arguments in PROMPTS.items()
]


class CatalogueWithFixtures(Catalogue):
    """Ours, and beside our prompts and views those of the suite."""

    async def list_resources(self, _context: Context, _params: object) -> ListResourcesResult:
        ours = await super().list_resources(_context, _params)
        return ours.model_copy(update={"resources": [*ours.resources, *LISTED_RESOURCES]})

    async def read_resource(self, _context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri = str(params.uri)
        found = STATIC.get(uri)
        if found is None and (named := _OF_TEMPLATE.fullmatch(uri)):
            data = {"id": named[1], "templateTest": True, "data": f"Data for ID: {named[1]}"}
            found = {"mimeType": "application/json", "text": json.dumps(data)}
        if found is None:
            return await super().read_resource(_context, params)
        return ReadResourceResult.model_validate({"contents": [{"uri": uri, **found}]})

    async def list_prompts(self, _context: Context, _params: object) -> ListPromptsResult:
        ours = await super().list_prompts(_context, _params)
        return ours.model_copy(update={"prompts": [*ours.prompts, *LISTED_PROMPTS]})

    async def get_prompt(self, _context: Context, params: GetPromptRequestParams) -> Any:
        arguments = params.arguments or {}
        match params.name:
            case "test_simple_prompt":
                return _said(text("This is a simple prompt for testing."))
            case "test_prompt_with_arguments":
                return _said(text("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'".format(**arguments)))
            case "test_prompt_with_embedded_resource":
                resource = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
                return _said(resource, text("Please process the embedded resource above."))
            case "test_prompt_with_image":
                return _said(IMAGE, text("Please analyze the image above."))
            case "test_input_required_result_prompt":
                if "user_context" in (params.input_responses or {}):
                    return _said(text("The context was received."))
                return InputRequiredResult.model_validate({"inputRequests": {"user_context": CONTEXT}})
            case _:
                return await super().get_prompt(_context, params)


async def list_templates(_context: Context, _params: PaginatedRequestParams) -> ListResourceTemplatesResult:
    template = {
        "uriTemplate": TEMPLATE,
        "name": "template",
        "description": "A fixture.",
        "mimeType": "application/json",
    }
    return ListResourceTemplatesResult.model_validate({"resourceTemplates": [template], **FRESH})


async def complete(_context: Context, _params: CompleteRequestParams) -> CompleteResult:
    return CompleteResult.model_validate({"completion": {"values": ["paris", "park", "party"], "total": 3}})


def _said(*blocks: Answer) -> GetPromptResult:
    return GetPromptResult.model_validate({"messages": [{"role": "user", "content": block} for block in blocks]})


def add_documents(server: Server[Any]) -> None:
    """Let a server answer what ours offers none of."""
    server.add_request_handler("resources/templates/list", PaginatedRequestParams, list_templates)
    server.add_request_handler("completion/complete", CompleteRequestParams, complete)
