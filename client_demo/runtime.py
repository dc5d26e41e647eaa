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
from typing import Annotated, Any, Final

import typer
from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from starlette.responses import JSONResponse, Response

from client_demo.agent import check_address
from client_demo.errors import AgentError, RefusedError, TokenError
from client_demo.invocation import InvalidError, Invocation, TokenMissingError, bearer, check_session
from client_demo.models import choose_model, model_label
from client_demo.turn import Event, opened, structured, turn

URL_VARIABLE: Final = "TENANTGATE_MCP_URL"
PORT: Final = 8080
_RETRY_AFTER: Final = {"Retry-After": "5"}
_UNCACHED: Final = {"Cache-Control": "no-store"}


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
            token = bearer(context.request)
            check_session(context.session_id)
            asked = Invocation.read(payload)
            if asked.action == "whoami":
                return await _whoami(token, mcp_url)
            events = turn(asked.prompt, asked.messages, token, mcp_url)
            # The first event comes once the server has accepted the token: until then the status is still open.
            first = await anext(events)
        except (AgentError, InvalidError) as error:
            return _refusal(error)
        return _resumed(first, events)

    app.entrypoint(invoke)  # pyright: ignore[reportUnknownMemberType]  # the package's types are partial
    return app


async def _whoami(token: str, url: str) -> Response:
    """Answer what the server knows of the caller, and which model answers questions here."""
    async with opened(token, url) as agent:
        answered = await asyncio.to_thread(agent.tool.whoami, record_direct_tool_call=False)
        identity, model = structured(answered), model_label(agent.model)
        if answered["status"] == "error":
            # The connection knows whether the server refused the person or something behind it is down, and says so.
            raise LookupError(identity)
    return JSONResponse({"identity": identity, "model": model}, headers=_UNCACHED)


async def _resumed(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


def _refusal(error: AgentError | InvalidError) -> Response:
    """Return the status that says what to do: 400 mend the request, 401 sign in, 403 do not retry, 503 try later."""
    match error:
        case TokenError():
            status, headers = 401, _challenge(error)
        case RefusedError():
            status, headers = error.status, _challenge(error) if error.status == 401 else {}
        case AgentError():
            # Never 500: AgentCore takes that for a container that does not start, and tries again for two minutes.
            status, headers = 503, _RETRY_AFTER
        case InvalidError():
            status, headers = 400, {}
    return JSONResponse({"error": str(error)}, status, {**_UNCACHED, **headers})


def _challenge(error: AgentError) -> dict[str, str]:
    """Return the challenge of RFC 6750 section 3; where no token was sent it names no error."""
    return {"WWW-Authenticate": "Bearer" if isinstance(error, TokenMissingError) else 'Bearer error="invalid_token"'}


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
