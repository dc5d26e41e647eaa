"""The agent as AgentCore Runtime hosts it: `POST /invocations` and `GET /ping`, on port 8080.

`python -m client_demo.runtime` serves it for the MCP server that TENANTGATE_MCP_URL names. The body is
`{"prompt": "…", "history": [{"role": "user", "text": "…"}, …]}`, history being optional, and the answer streams as
server-sent events (client_demo.turn says which); or `{"action": "whoami"}`, which answers as JSON and asks no model.

The runtime holds no keys and remembers nothing. It reads no body without a bearer token, and none over 1 MiB.
It believes a token once the MCP server has: the connection is opened
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
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response

from client_demo.admission import LARGEST_BODY_BYTES, UNCACHED, Admission, refusal
from client_demo.agent import check_address
from client_demo.errors import AgentError
from client_demo.invocation import InvalidError, Invocation, bearer, check_session
from client_demo.models import choose_model, model_label
from client_demo.turn import Event, opened, structured, turn
from server.http.connection import Connection

URL_VARIABLE: Final = "TENANTGATE_MCP_URL"
PORT: Final = 8080


def create_runtime(mcp_url: str) -> BedrockAgentCoreApp:
    """Return the ASGI application; AgentError for an address that a token may not be sent to or a wrong model setting.

    Nothing of a person outlives its request, and no credential is read here: AgentCore may snapshot what starts.
    """
    check_address(mcp_url)
    choose_model()
    # A refusal is an answer, and the caller reads it; Strands would log it with a trace.
    logging.getLogger("strands.tools.mcp").setLevel(logging.CRITICAL)
    app = BedrockAgentCoreApp(middleware=[Middleware(Admission)])
    # The package reads the whole body before it calls anything here.
    app.max_body_size = LARGEST_BODY_BYTES

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
            return refusal(error)
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
    return JSONResponse({"identity": identity, "model": model}, headers=UNCACHED)


async def _resumed(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


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
    app.run(port, host, http=Connection, ws="none", proxy_headers=False)  # pyright: ignore[reportUnknownMemberType]  # the package's types are partial


if __name__ == "__main__":
    typer.run(main)
