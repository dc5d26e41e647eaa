"""Which request of the server answered which tool call, so that its audit record can be found."""

import json
from collections import defaultdict, deque
from typing import Any, Final

import httpx2


class CallRequests:
    """The request ids (`x-request-id`) of one connection's tool calls, in the order of their answers."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ids: Final[defaultdict[str, deque[str]]] = defaultdict(deque)

    async def note(self, response: httpx2.Response) -> None:
        """Note the id of an answer to `tools/call`; any other answer is ignored."""
        try:
            sent: Any = json.loads(response.request.content)
            if sent["method"] == "tools/call":
                key = _key(sent["params"]["name"], sent["params"].get("arguments"))
                self._ids[key].append(response.headers["x-request-id"])
        except (ValueError, KeyError, TypeError, httpx2.RequestNotRead):
            return

    def take(self, tool: str, arguments: Any) -> str | None:
        """Return the id of the next call of `tool` with `arguments`; None when the server was not reached."""
        waiting = self._ids[_key(tool, arguments)]
        return waiting.popleft() if waiting else None


def _key(tool: str, arguments: Any) -> str:
    return json.dumps([tool, arguments or {}], sort_keys=True)
