"""The agent: one question, one person's token, the server's tools, and nothing else.

The token is sent unchanged with every request; the agent neither stores nor exchanges it, and every call of `ask` has
its own connection, so that two people never share one. The server decides what the person may see.
"""

import json
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx2
import jwt
from mcp.client.streamable_http import streamable_http_client
from strands import Agent
from strands.models import Model
from strands.tools.mcp import MCPClient
from strands.types.content import Messages
from strands.types.exceptions import MCPClientInitializationError

from client_demo.errors import AgentError, RefusedByServerError, TokenError
from client_demo.models import choose_model

SYSTEM_PROMPT: Final = (
    "You answer questions about insurance claims and policy documents for the signed-in person. "
    "Answer only from what the tools return; never invent, and do no arithmetic of your own. "
    "When no passage answers the question, say that the documents do not say. "
    "The server decides what this person may see: when a tool refuses, say so and give its reason."
)
# Receives each answer of the server, before its body.
Answered = Callable[[httpx2.Response], Awaitable[None]]
_TIMEOUT_SECONDS: Final = 30.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# Creating a context is most of the cost of connecting (17 of 20 ms), and it holds nothing of a person: share one.
_TLS: Final = httpx2.create_ssl_context()
# Strands 1.62 forgets one of its coroutines whenever a connection is refused; the refusal itself is reported.
warnings.filterwarnings("ignore", message=r"coroutine 'MCPClient\.stop", category=RuntimeWarning)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model requested, and the server's answer: JSON text, or a reason when `is_error`."""

    name: str
    arguments: dict[str, Any]
    result: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to one question, with all its tool calls."""

    answer: str
    calls: tuple[ToolCall, ...]


def ask(question: str, token: str, url: str, model: Model | None = None, answered: Answered | None = None) -> Turn:
    """Answer `question` as the person whose access token is given; safe to call from many threads.

    `answered` receives each answer of the server, for the id of its audit record.

    Raises RefusedByServerError when the server refuses the person (401, 403), TokenError when the token has expired
    (before anything is sent), and AgentError when the server cannot be reached or the model fails.
    """
    with open_agent(token, url, model, answered) as agent:
        answer = str(agent(question)).strip()
        return Turn(answer, _calls(agent.messages))


@contextmanager
def open_agent(token: str, url: str, model: Model | None = None, answered: Answered | None = None) -> Generator[Agent]:
    """Yield an agent on a connection that the server accepted for this person; raises as `ask` does, also later.

    `answered` receives each answer of the server, for the id of its audit record.
    """
    _check_token(token)
    check_address(url)
    connection = _Connection(url, token, answered)
    try:
        with MCPClient(connection.open) as client:
            yield Agent(
                model=model or choose_model(),
                tools=[*client.list_tools_sync()],
                system_prompt=SYSTEM_PROMPT,
                callback_handler=None,
                load_tools_from_directory=False,
            )
    except AgentError:
        raise
    except MCPClientInitializationError as error:
        raise connection.failure or AgentError(
            f"{url} does not answer as an MCP server; start it, or correct the address."
        ) from error
    except Exception as error:
        # Each model provider has its own errors, and a person needs one sentence, not a traceback.
        raise connection.failure or AgentError(f"The agent could not answer: {error}") from error


@dataclass(slots=True)
class _Connection:
    """One person's connection; `failure` keeps the server's message, which the client's own errors lose."""

    url: str
    token: str
    answered: Answered | None = None
    failure: AgentError | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Any]:
        """Open the MCP transport with the person's token on every request, and close it with its HTTP client."""
        async with (
            httpx2.AsyncClient(
                verify=_TLS,
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=_TIMEOUT_SECONDS,
                # A redirect would send the token to another address.
                follow_redirects=False,
                event_hooks={"response": [*([self.answered] if self.answered else []), self._remember_failure]},
            ) as http,
            streamable_http_client(self.url, http_client=http) as streams,
        ):
            yield streams

    async def _remember_failure(self, response: httpx2.Response) -> None:
        status = response.status_code
        # Client and server use other 4xx answers to find a protocol version that both support.
        if status in {401, 403, 429} or status >= 500:
            reason = _reason(await response.aread()) or f"The server answered HTTP {status}."
            self.failure = RefusedByServerError(status, reason) if status in {401, 403} else AgentError(reason)


def _reason(body: bytes) -> str:
    """Return the message in a JSON-RPC error body; empty when there is none."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _check_token(token: str) -> None:
    """Refuse a token that cannot be accepted; only the server decides whether it is genuine."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise TokenError("The access token is not a JSON Web Token; sign in again.") from None
    expires_at = claims.get("exp")
    if isinstance(expires_at, int | float) and expires_at <= time.time():
        raise TokenError("The access token has expired; sign in again. Nothing was sent.")


def check_address(url: str) -> None:
    """Refuse to send a bearer token without TLS (RFC 6750 section 5.3)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise AgentError(f"{url} is not an https address; a bearer token is sent in the clear on loopback only.")


def _calls(messages: Messages) -> tuple[ToolCall, ...]:
    """Return the tool calls of a conversation, in the order in which the model requested them."""
    blocks = [block for message in messages for block in message["content"]]
    results = {block["toolResult"]["toolUseId"]: block["toolResult"] for block in blocks if "toolResult" in block}
    calls: list[ToolCall] = []
    for use in (block["toolUse"] for block in blocks if "toolUse" in block):
        result = results[use["toolUseId"]]
        text = "\n".join(item["text"] for item in result["content"] if "text" in item)
        calls.append(ToolCall(use["name"], cast("dict[str, Any]", use["input"]), text, result["status"] == "error"))
    return tuple(calls)
