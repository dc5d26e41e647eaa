"""One tool call over real HTTP, with any text as the token."""

import json
import random
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from client_demo.errors import AgentError

_TIMEOUT_S: Final = 30.0
# Creating one takes longer than a call, and it holds nothing of a person.
_TLS: Final = httpx2.create_ssl_context()
_HEADERS: Final = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2025-11-25",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: `text` is its own message, `data` the structured content of a call that succeeded."""

    request: str
    status: int
    text: str
    data: Any
    is_error: bool


def call_tool(url: str, token: str, tool: str, arguments: dict[str, Any], source: str | None = None) -> Reply:
    """Call `tool`; raise AgentError when the server cannot be reached.

    `source` is the address to connect from.
    """
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }
    # As Python writes it, also where that is no JSON (NaN) or no text (half of a surrogate pair): the server decides.
    sent = json.dumps(body).encode()
    try:
        with httpx2.Client(
            transport=httpx2.HTTPTransport(verify=_TLS, local_address=source, trust_env=False),
            timeout=_TIMEOUT_S,
            follow_redirects=False,
        ) as http:
            response = http.post(url, content=sent, headers={**_HEADERS, "Authorization": f"Bearer {token}"})
    except httpx2.HTTPError as error:
        raise AgentError(f"{url} cannot be reached: {error}; check that the development server still runs.") from None
    return _reply(response)


def another_source() -> str:
    """Return a loopback address in a network that was probably not used before.

    The trail writes the first refused token of a network and counts the next ones; a person should see their own.
    """
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.1"  # noqa: S311  # no secret


def _reply(response: httpx2.Response) -> Reply:
    request = response.headers.get("x-request-id", "")
    try:
        body: dict[str, Any] = response.json()
    except ValueError:
        return Reply(request, response.status_code, response.text[:500], None, is_error=True)
    if "error" in body:
        return Reply(request, response.status_code, str(body["error"].get("message", "")), None, is_error=True)
    result: dict[str, Any] = body.get("result", {})
    text = "\n".join(str(item["text"]) for item in result.get("content", []) if "text" in item)
    return Reply(request, response.status_code, text, result.get("structuredContent"), bool(result.get("isError")))
