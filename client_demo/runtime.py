"""The agent as AgentCore Runtime hosts it: `POST /invocations` and `GET /ping`, on port 8080.

`python -m client_demo.runtime` serves it for the MCP server that TENANTGATE_MCP_URL names. The body is
`{"prompt": "…", "history": [{"role": "user", "text": "…"}, …]}`, history being optional, and the answer streams as
server-sent events (client_demo.turn says which); or `{"action": "whoami"}`, which answers as JSON and asks no model.

The runtime holds no keys and remembers nothing. It believes a token once the MCP server has: the connection is opened
before the first byte of an answer, so a missing, expired or foreign token is an HTTP status and no event. AgentCore
hands the Authorization header over only where the runtime's header allow-list names it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

import typer
from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from strands.types.content import Message

from client_demo.agent import check_address
from client_demo.errors import AgentError, RefusedError, TokenError
from client_demo.models import choose_model, model_label
from client_demo.turn import Event, opened, structured, turn

URL_VARIABLE: Final = "TENANTGATE_MCP_URL"
PORT: Final = 8080
_SESSION_CHARACTERS: Final = range(33, 257)
_RETRY_AFTER: Final = {"Retry-After": "5"}
_UNCACHED: Final = {"Cache-Control": "no-store"}


class TokenMissingError(TokenError):
    """No access token came with the request."""


class Said(BaseModel):
    """One earlier message of the conversation, as the caller's own page kept it."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"]
    text: str = Field(min_length=1, max_length=20_000)


class Invocation(BaseModel):
    """The body of an invocation: a question with what was said before, or the question of who is asking."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(default="", max_length=4_000)
    history: list[Said] = Field(default_factory=list[Said], max_length=40)
    action: Literal["ask", "whoami"] = "ask"


def create_runtime(mcp_url: str) -> BedrockAgentCoreApp:
    """Return the ASGI application; AgentError for an address that a token may not be sent to or a wrong model setting.

    Nothing of a person outlives its request, and no credential is read here: AgentCore may snapshot what starts.
    """
    check_address(mcp_url)
    choose_model()
    # A refusal is an answer, and the caller reads it; Strands would log it with a trace.
    logging.getLogger("strands.tools.mcp").setLevel(logging.CRITICAL)
    app = BedrockAgentCoreApp()

    async def invoke(payload: Any, context: RequestContext) -> Response | AsyncGenerator[Event]:
        try:
            check_session(context.session_id)
            asked = Invocation.model_validate(payload)
            token = bearer(context.request)
            if asked.action == "whoami":
                return await _whoami(token, mcp_url)
            events = turn(_question(asked), _messages(asked), token, mcp_url)
            # The first event comes once the server has accepted the token: until then the status is still open.
            first = await anext(events)
        except (AgentError, ValidationError, ValueError) as error:
            return _refusal(error)
        return _resumed(first, events)

    app.entrypoint(invoke)  # pyright: ignore[reportUnknownMemberType]  # the package's types are partial
    return app


def bearer(request: Request | None) -> str:
    """Return the token of the one Authorization header (RFC 6750 section 2.1).

    Raises TokenMissingError when there is none, and ValueError when there are two.
    """
    # Not `context.request_headers`: of two headers it keeps the last, and the client may have meant the first.
    headers = request.headers.getlist("authorization") if request else []
    if len(headers) > 1:
        raise ValueError("There is more than one Authorization header; send one.")
    kind, _, token = (headers[0] if headers else "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise TokenMissingError(
            "There is no access token: send `Authorization: Bearer …`, "
            "and on AgentCore put Authorization on the runtime's header allow-list."
        )
    return token.strip()


def check_session(session_id: str | None) -> None:
    """Raise ValueError for a session id that AgentCore would refuse, so that a mistake shows up at home."""
    if session_id is not None and len(session_id) not in _SESSION_CHARACTERS:
        raise ValueError("The session id has 33 to 256 characters; two joined UUIDs are one way to make it.")


async def _whoami(token: str, url: str) -> Response:
    """Answer what the server knows of the caller, and which model answers questions here."""
    async with opened(token, url) as agent:
        answered = await asyncio.to_thread(agent.tool.whoami, record_direct_tool_call=False)
        identity, model = structured(answered), model_label(agent.model)
    if answered["status"] == "error":
        raise RefusedError(403, str(identity))
    return JSONResponse({"identity": identity, "model": model}, headers=_UNCACHED)


async def _resumed(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


def _question(asked: Invocation) -> str:
    if not asked.prompt.strip():
        raise ValueError('There is no question: send {"prompt": "…"}.')
    return asked.prompt


def _messages(asked: Invocation) -> list[Message]:
    return [{"role": said.role, "content": [{"text": said.text}]} for said in asked.history]


def _refusal(error: Exception) -> Response:
    """Return the status that says what to do: 400 mend the request, 401 sign in, 403 do not retry, 503 try later."""
    match error:
        case TokenError():
            status, headers = 401, _challenge(error)
        case RefusedError():
            status, headers = error.status, _challenge(error) if error.status == 401 else {}
        case AgentError():
            # Never 500: AgentCore takes that for a container that does not start, and tries again for two minutes.
            status, headers = 503, _RETRY_AFTER
        case ValidationError():
            return JSONResponse({"error": _explained(error)}, 400, _UNCACHED)
        case _:
            status, headers = 400, {}
    return JSONResponse({"error": str(error)}, status, {**_UNCACHED, **headers})


def _challenge(error: AgentError) -> dict[str, str]:
    """Return the challenge of RFC 6750 section 3; where no token was sent it names no error."""
    return {"WWW-Authenticate": "Bearer" if isinstance(error, TokenMissingError) else 'Bearer error="invalid_token"'}


def _explained(error: ValidationError) -> str:
    """Name what is wrong with the body and where, and never the value."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems)


def main(
    port: Annotated[int, typer.Option(help="Port to listen on; AgentCore expects 8080.")] = PORT,
    host: Annotated[str | None, typer.Option(help="Default: loopback, and every address in a container.")] = None,
) -> None:
    """Serve the agent for the MCP server that TENANTGATE_MCP_URL names."""
    url = os.environ.get(URL_VARIABLE, "")
    if not url:
        typer.echo(
            f"Set {URL_VARIABLE} to the address of the MCP server, such as https://mcp.example.com/mcp.", err=True
        )
        raise typer.Exit(2)
    try:
        app = create_runtime(url)
    except AgentError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    app.run(port, host)  # pyright: ignore[reportUnknownMemberType]  # the package's types are partial


if __name__ == "__main__":
    typer.run(main)
