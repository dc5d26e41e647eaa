"""The agent as AgentCore Runtime hosts it: `POST /invocations` and `GET /ping`, on port 8080.

`python -m client_demo.runtime` serves it for the MCP server that TENANTGATE_MCP_URL names. The body is
`{"prompt": "…", "history": [{"role": "user", "text": "…"}, …]}`, where history is optional, and the answer streams as
server-sent events (listed in client_demo.turn); or `{"action": "whoami"}`, which answers as JSON without a model.

The runtime holds no keys and keeps nothing. It reads no body without a bearer token, and none over 1 MiB.
It trusts a token only after the MCP server has accepted it: the connection is opened before the first byte of an
answer, so a missing, expired or foreign token gives an HTTP status and no event. AgentCore passes the Authorization
header on only where the runtime's header allow-list names it.
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
    """Return the ASGI application; AgentError for an address that must not get a token, or a wrong model setting.

    Nothing of a person is kept after its request, and no credential is read here: AgentCore may snapshot the process.
    """
    check_address(mcp_url)
    choose_model()
    # A refusal is an answer for the caller; Strands would log it with a traceback.
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
            # The first event comes once the server has accepted the token; until then the status can still change.
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
            # The connection's error says whether the server refused the person or something behind it is down.
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
