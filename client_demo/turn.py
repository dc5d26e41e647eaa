"""One turn as events: what happens between a question and its answer, as JSON objects in order.

{"type": "start", "model": LABEL}                                 the server has accepted the person's token
{"type": "text", "text": "…"}                                     the next piece of the answer
{"type": "tool_call", "id": ID, "name": TOOL, "arguments": {…}}   what the model asked for
{"type": "tool_result", "id": ID, "is_error": false, "result": …} what the server answered: JSON, or text;
                                                                  `request` is its request id, where there is one
{"type": "error", "message": "…"}                                 the turn failed, and this is its last event
{"type": "done"}                                                  the answer is complete, and this is its last event
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from strands import Agent
from strands.types.content import ContentBlock, Message
from strands.types.tools import ToolResult, ToolUse

from client_demo.agent import Answered, open_agent
from client_demo.call_requests import CallRequests
from client_demo.errors import AgentError
from client_demo.models import model_label

Event = dict[str, Any]
# Strands puts these words before an error that came as a JSON-RPC error instead of a result.
_CLIENT_PREFIX: Final = "Tool execution failed: "


async def turn(question: str, history: Sequence[Message], token: str, url: str) -> AsyncGenerator[Event]:
    """Yield the events of one turn; errors that `ask` raises are raised before the first event.

    Later errors are events. The connection closes with the generator, so when a reader leaves, the work ends.
    """
    started = False
    events = _Events()
    try:
        async with opened(token, url, events.answered.note) as agent:
            agent.messages.extend(history)
            started = True
            yield {"type": "start", "model": model_label(agent.model)}
            async for event in agent.stream_async(question):
                for one in events.of(event):
                    yield one
        yield {"type": "done"}
    except AgentError as error:
        if not started:
            raise
        yield {"type": "error", "message": str(error)}


@asynccontextmanager
async def opened(token: str, url: str, answered: Answered | None = None) -> AsyncGenerator[Agent]:
    """Run `open_agent` off the event loop, because connecting and disconnecting would block it for milliseconds."""
    connection = open_agent(token, url, answered=answered)
    agent = await asyncio.to_thread(connection.__enter__)
    try:
        yield agent
    except BaseException as error:
        await asyncio.to_thread(connection.__exit__, type(error), error, error.__traceback__)
        raise
    else:
        await asyncio.to_thread(connection.__exit__, None, None, None)


def structured(result: ToolResult) -> Any:
    """Return a tool's answer: the structured content if there is any, else JSON, else the text unchanged."""
    if (content := result.get("structuredContent")) is not None:
        return content
    text = "\n".join(item["text"] for item in result["content"] if "text" in item).removeprefix(_CLIENT_PREFIX)
    try:
        return json.loads(text)
    except ValueError:
        return text


class _Events:
    """Translates the events of Strands, and keeps which calls are waiting for their answers."""

    def __init__(self) -> None:
        self.answered: Final = CallRequests()
        self._calls: Final[dict[str, ToolUse]] = {}

    def of(self, event: dict[str, Any]) -> Iterator[Event]:
        """Translate one event; most of them yield nothing."""
        if "data" in event:
            yield {"type": "text", "text": event["data"]}
        elif "message" in event:
            for block in event["message"]["content"]:
                yield from self._tool_event(block)

    def _tool_event(self, block: ContentBlock) -> Iterator[Event]:
        if use := block.get("toolUse"):
            self._calls[use["toolUseId"]] = use
            yield {"type": "tool_call", "id": use["toolUseId"], "name": use["name"], "arguments": use["input"]}
        if answered := block.get("toolResult"):
            call = self._calls.pop(answered["toolUseId"], None)
            request = self.answered.take(call["name"], call["input"]) if call else None
            yield {
                "type": "tool_result",
                "id": answered["toolUseId"],
                "is_error": answered["status"] == "error",
                "result": structured(answered),
            } | ({"request": request} if request else {})
