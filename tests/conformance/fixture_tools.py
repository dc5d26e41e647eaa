"""The tools that the conformance suite calls; their names, texts and schemas are the suite's own."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    LoggingMessageNotification,
    Tool,
)

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
MISSING_CAPABILITY: Final = -32021
NO_ARGUMENTS: Final = {"type": "object", "properties": {}, "additionalProperties": False}
_KEY: Final = secrets.token_bytes(32)

Context = ServerRequestContext[Any, Any]
Answer = dict[str, Any]


def text(words: str) -> Answer:
    return {"type": "text", "text": words}


def content(*blocks: Answer, **more: Any) -> CallToolResult:
    return CallToolResult.model_validate({"content": blocks, **more})


IMAGE: Final = {"type": "image", "data": PNG, "mimeType": "image/png"}


def embedded(uri: str, words: str, kind: str = "text/plain") -> Answer:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


# Tools that always answer the same.
CONSTANT: Final[Mapping[str, CallToolResult]] = {
    "test_simple_text": content(text("This is a simple text response for testing.")),
    "test_image_content": content(IMAGE),
    "test_audio_content": content({"type": "audio", "data": WAV, "mimeType": "audio/wav"}),
    "test_embedded_resource": content(embedded("test://embedded-resource", "This is an embedded resource content.")),
    "test_multiple_content_types": content(
        text("Multiple content types test:"),
        IMAGE,
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ),
    "test_error_handling": content(text("This tool intentionally returns an error for testing"), isError=True),
}


def elicitation(message: str, **properties: Answer) -> Answer:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


def sampling(question: str, most_tokens: int) -> Answer:
    messages = [{"role": "user", "content": text(question)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": most_tokens}}


STRING: Final = {"type": "string"}
ROOTS: Final = {"method": "roots/list", "params": {}}
NAME: Final = elicitation("What is your name?", name=STRING)
CONFIRM: Final = elicitation("Please confirm", ok={"type": "boolean"})
CAPABILITIES: Final = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}

# Tools that ask something first: the questions of each round, and whether a state travels along.
ROUNDS: Final[Mapping[str, tuple[bool, list[dict[str, Answer]]]]] = {
    "test_input_required_result_elicitation": (False, [{"user_name": NAME}]),
    "test_streaming_elicitation": (False, [{"user_name": NAME}]),
    "test_input_required_result_sampling": (
        False,
        [{"capital_question": sampling("What is the capital of France?", 100)}],
    ),
    "test_input_required_result_list_roots": (False, [{"client_roots": ROOTS}]),
    "test_input_required_result_request_state": (True, [{"confirm": CONFIRM}]),
    "test_input_required_result_tampered_state": (True, [{"confirm": CONFIRM}]),
    "test_input_required_result_multiple_inputs": (
        True,
        [{"user_name": NAME, "greeting": sampling("Generate a greeting", 50), "client_roots": ROOTS}],
    ),
    "test_input_required_result_multi_round": (
        True,
        [
            {"step1": elicitation("Step 1: What is your name?", name=STRING)},
            {"step2": elicitation("Step 2: What is your favorite color?", color=STRING)},
        ],
    ),
    "test_input_required_result_capabilities": (
        False,
        [{"user_name": NAME, "greeting": sampling("Generate a greeting", 50), "client_roots": ROOTS}],
    ),
}


def sealed(tool: str, round_number: int) -> str:
    """Return a state that only this process can have made."""
    payload = f"{tool}:{round_number}"
    return f"{payload}:{hmac.new(_KEY, payload.encode(), hashlib.sha256).hexdigest()}"


def round_of(tool: str, state: str | None) -> int:
    """Return which round a state belongs to; MCPError for one that was changed."""
    if state is None:
        return 0
    payload, _, _signature = state.rpartition(":")
    number = payload.rpartition(":")[2]
    if not number.isdecimal() or not hmac.compare_digest(state.encode(), sealed(tool, int(number)).encode()):
        raise MCPError(code=INVALID_PARAMS, message="The requestState is not one of this server's.")
    return int(number)


def declared(context: Context) -> set[str]:
    capabilities = context.session.client_capabilities
    return set() if capabilities is None else set(capabilities.model_dump(by_alias=True, exclude_none=True))


def ask(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    """Ask the questions of the round that the caller is in, or answer when all are answered."""
    with_state, rounds = ROUNDS[params.name]
    number = round_of(params.name, params.request_state)
    answers = params.input_responses or {}
    while number < len(rounds):
        supported = {
            key: question
            for key, question in rounds[number].items()
            if CAPABILITIES[question["method"]] in declared(context)
        }
        if not supported.keys() <= answers.keys() or not all(_is_answer(answers[key]) for key in supported):
            state = {"requestState": sealed(params.name, number)} if with_state else {}
            return InputRequiredResult.model_validate({"inputRequests": supported, **state})
        number += 1
        answers = {} if number < len(rounds) else answers
    told = {key: value.model_dump(mode="json", by_alias=True) for key, value in (params.input_responses or {}).items()}
    return content(text(f"state-ok {json.dumps(told)}"))


def _is_answer(value: Any) -> bool:
    # An accepted form without content answers nothing.
    return getattr(value, "action", None) != "accept" or bool(getattr(value, "content", None))


async def progress(context: Context, _params: CallToolRequestParams) -> CallToolResult:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100, f"Completed step {done} of 100")
    return content(text("done"))


async def log(context: Context, _params: CallToolRequestParams) -> CallToolResult:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        notification = {"method": "notifications/message", "params": {"level": "info", "data": words}}
        await context.session.send_notification(LoggingMessageNotification.model_validate(notification))
    return content(text("Tool with logging executed successfully"))


async def needs_sampling(context: Context, _params: CallToolRequestParams) -> CallToolResult:
    if "sampling" not in declared(context):
        required = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=MISSING_CAPABILITY, message="This tool needs sampling.", data=required)
    return content(text("sampling is supported"))


RUNNING: Final[Mapping[str, Callable[..., Any]]] = {
    "test_tool_with_progress": progress,
    "test_tool_with_logging": log,
    "test_logging_tool": log,
    "test_missing_capability": needs_sampling,
}

# Keywords that a server must hand on as they are (SEP-1613, SEP-2106).
KEYWORDS: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": STRING, "city": STRING},
        }
    },
    "properties": {
        "name": STRING,
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": STRING,
        "email": STRING,
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
# A property that travels in a header too (SEP-2243).
HEADER: Final = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
ECHOING: Final = {"json_schema_2020_12_tool": KEYWORDS, "test_custom_header": HEADER}

LISTED: Final = [
    Tool.model_validate({"name": name, "description": "A fixture of the conformance suite.", "inputSchema": schema})
    for name, schema in (dict.fromkeys((*CONSTANT, *ROUNDS, *RUNNING), NO_ARGUMENTS) | ECHOING).items()
]


async def call_fixture(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult | None:
    """Answer a call of a fixture; None for a tool that is none."""
    if params.name in CONSTANT:
        return CONSTANT[params.name]
    if params.name in ROUNDS:
        return ask(context, params)
    if params.name in RUNNING:
        return await RUNNING[params.name](context, params)
    return content(text("ok")) if params.name in ECHOING else None
