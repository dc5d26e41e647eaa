"""The web demo: the built page, its configuration and the agent, on one loopback address.

    python -m client_demo.web_server                                  with its own development server
    python -m client_demo.web_server --mcp-url https://mcp.example.com/mcp --client-id EXAMPLE

The page and the agent share an origin, so no other origin is allowed. The page is the committed build in `web/dist`:
serving it needs no Node.
"""

import logging
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from client_demo.admission import LARGEST_BODY_BYTES
from client_demo.attempts.endpoint import PATH, Attempts
from client_demo.attempts.place import find_place
from client_demo.errors import DemoError
from client_demo.models import choose_model, model_label
from client_demo.runtime import PORT, create_runtime
from client_demo.security_headers import SecurityHeaders
from client_demo.server_process import dev_server, running_address
from client_demo.web_settings import DEVELOPMENT_CLIENT, SIDE_BY_SIDE, WebSettings, discover
from server.http.connection import Connection

PAGE: Final = Path(__file__).parent / "web" / "dist"
_HOST: Final = "127.0.0.1"
_HOSTS: Final = [_HOST, "localhost"]
_GRACE_SECONDS: Final = 3


def create_web(settings: WebSettings, mcp_url: str, folder: Path | None = None) -> Starlette:
    """Return the ASGI application; AgentError when the agent cannot be made for `mcp_url`.

    `folder` is the data folder of a development server on this machine: with it, the page can be attacked too.
    """
    runtime = create_runtime(mcp_url)
    place = find_place(folder, mcp_url) if folder else None
    shown = settings.as_json() | ({"attempts_url": PATH} if place else {})

    async def configuration(_request: Request) -> JSONResponse:
        return JSONResponse(shown)

    return Starlette(
        routes=[
            Route("/config.json", configuration),
            Route("/invocations", runtime, methods=["POST"]),
            Route("/ping", runtime, methods=["GET"]),
            *(Attempts(place).routes if place else ()),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ],
        middleware=[
            # Against DNS rebinding: a page with another host name must not reach this server.
            Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False),
            Middleware(SecurityHeaders, settings=settings),
        ],
        max_body_size=LARGEST_BODY_BYTES,
    )


def main(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = PORT,
    mcp_url: Annotated[str | None, typer.Option(help="This MCP server; default: a development server.")] = None,
    client_id: Annotated[str, typer.Option(help="The page's public client at the issuer.")] = DEVELOPMENT_CLIENT,
    folder: Annotated[Path, typer.Option(help="Data folder of the development server.")] = Path(".tenantgate"),
) -> None:
    """Serve the web demo on this machine until Ctrl-C, and stop what was started with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _listener(port) as listener, _server(mcp_url, folder) as address:
            development = mcp_url is None
            settings = discover(address, client_id, development=development)
            app = create_web(settings, address, folder if development else None)
            # It would print a line for every question.
            logging.getLogger("bedrock_agentcore.app").setLevel(logging.ERROR)
            _announce(f"http://{_HOST}:{listener.getsockname()[1]}/", address, development=development)
            config = uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                proxy_headers=False,
                log_level="warning",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
            uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        typer.echo("Stopped; every process that was started here has ended.")
    except DemoError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@contextmanager
def _listener(port: int) -> Generator[socket.socket]:
    """Yield the listening socket; opened first, so that nothing is started for a port that is in use."""
    try:
        listener = socket.create_server((_HOST, port))
    except OSError as error:
        raise DemoError(f"Port {port} cannot be used ({error.strerror}); choose another with --port.") from error
    with listener:
        yield listener


@contextmanager
def _server(mcp_url: str | None, folder: Path) -> Generator[str]:
    """Yield the MCP address: the given one, that of the `dev` already running on `folder`, or of one started here."""
    if address := mcp_url or running_address(folder, SIDE_BY_SIDE[0].name):
        yield address
        return
    typer.echo("Starting the development server ...", err=True)
    with dev_server(folder) as server:
        yield server.wait_until_ready()


def _announce(page: str, address: str, *, development: bool) -> None:
    typer.echo(f"Web demo:    {page}")
    typer.echo(f"MCP server:  {address}")
    typer.echo(f"Answers by:  {model_label(choose_model())}")
    if development:
        people = " and ".join(person.name for person in SIDE_BY_SIDE)
        typer.echo(f"One click signs in {people}. No passwords: the people are samples.")
    typer.echo("Ctrl-C stops everything.")


if __name__ == "__main__":
    typer.run(main)
