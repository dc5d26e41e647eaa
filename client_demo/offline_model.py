"""A rule-based stand-in for machines without a language model; the demo says that it is not one."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from strands.models import Model
from strands.types.content import Messages
from strands.types.streaming import StreamEvent
from strands.types.tools import ToolSpec
from typing_extensions import override

from client_demo.answer import answer_to
from client_demo.question import Schema, ToolRequest, request_for

_NO_TOOL: Final = "None of the tools can answer this."
Output = TypeVar("Output", bound=BaseModel)


class OfflineModel(Model):
    """Picks one tool for a question and puts its result into a sentence: deterministic, stateless, thread-safe.

    It sees what any model sees, the messages and the tools' specifications, and nothing else.
    """

    @override
    async def stream(
        self, messages: Messages, tool_specs: list[ToolSpec] | None = None, system_prompt: str | None = None, **_: Any
    ) -> AsyncIterator[StreamEvent]:
        """Request a tool when the last message is a question; answer when it is a tool result."""
        last = messages[-1]["content"]
        question = _last_text(messages)
        result = next((block["toolResult"] for block in last if "toolResult" in block), None)
        if result is not None:
            request = _request_behind(messages, result["toolUseId"])
            text = "\n".join(item["text"] for item in result["content"] if "text" in item)
            events = _say(answer_to(question, request, text, is_error=result["status"] == "error"))
        else:
            schemas: dict[str, Schema] = {spec["name"]: spec["inputSchema"]["json"] for spec in tool_specs or []}
            request = request_for(question, schemas)
            events = _say(_NO_TOOL) if request is None else _call(request, f"offline-{len(messages)}")
        for event in events:
            yield event

    @override
    def update_config(self, **model_config: Any) -> None:
        """Do nothing: there is nothing to configure."""

    @override
    def get_config(self) -> dict[str, Any]:
        """Return no configuration: there is none."""
        return {}

    @override
    async def structured_output(
        self, output_model: type[Output], prompt: Messages, system_prompt: str | None = None, **kwargs: Any
    ) -> AsyncGenerator[dict[str, Output | Any], None]:
        """Refuse: the rules write sentences."""
        raise NotImplementedError("The offline model writes sentences only.")
        yield {}


def _last_text(messages: Messages) -> str:
    """Return the person's newest words; tool results are in messages of the same role."""
    for message in reversed(messages):
        text = " ".join(block["text"] for block in message["content"] if "text" in block)
        if message["role"] == "user" and text:
            return text
    return ""


def _request_behind(messages: Messages, tool_use_id: str) -> ToolRequest:
    uses = [block["toolUse"] for message in messages for block in message["content"] if "toolUse" in block]
    use = next(use for use in uses if use["toolUseId"] == tool_use_id)
    return ToolRequest(use["name"], use["input"])


def _call(request: ToolRequest, tool_use_id: str) -> Iterator[StreamEvent]:
    yield {"messageStart": {"role": "assistant"}}
    yield {"contentBlockStart": {"start": {"toolUse": {"name": request.name, "toolUseId": tool_use_id}}}}
    yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(request.arguments)}}}}
    yield {"contentBlockStop": {}}
    yield {"messageStop": {"stopReason": "tool_use"}}
    yield _NO_USAGE


def _say(text: str) -> Iterator[StreamEvent]:
    yield {"messageStart": {"role": "assistant"}}
    yield {"contentBlockStart": {"start": {}}}
    yield {"contentBlockDelta": {"delta": {"text": text}}}
    yield {"contentBlockStop": {}}
    yield {"messageStop": {"stopReason": "end_turn"}}
    yield _NO_USAGE


_NO_USAGE: Final[StreamEvent] = {
    "metadata": {"usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}, "metrics": {"latencyMs": 0}}
}
