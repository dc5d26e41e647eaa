"""One server in a process of its own: ours, or a bare Starlette endpoint around the same statement.

`python served.py full|bare PORT`; settings come from the environment. On standard input, `cpu` asks for the
process's CPU seconds, `profile` starts a profile and `report FILE` writes it; an answer is one line.
"""
# it answers on standard output

import asyncio
import cProfile
import json
import logging
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.app import create_app
from server.catalog.compile import CompiledTable
from server.catalog.facts import read_facts
from server.catalog.loading import load_catalog
from server.configuration import load_settings
from server.database.connecting import login_target
from server.database.database import Database
from server.database.session import Session
from server.database.statement import Principal, Statement
from server.http.serving import Server, listen, server_config
from server.logs import configure_logs


def bare_app() -> Starlette:
    """Return one route without token, protocol, checks or log: the rows as JSON, for the tenant in the query."""
    settings = load_settings()
    database = Database(settings.database)
    statement = first_page(settings.database.url.get_secret_value())
    issuer = settings.issuers[0].issuer
    # The usual way: psycopg's own pool and cursors, each statement prepared at once.
    pool = AsyncConnectionPool[AsyncConnection[Any]](
        kwargs=login_target(settings.database).pooled,
        min_size=2,
        max_size=settings.database.pool_size,
        configure=Session(settings.database).begin,
        open=False,
    )

    async def claims(request: Request) -> Response:
        tenant = request.query_params["tenant"]
        principal = Principal(issuer, "bench", tenant, None)
        # What a person would write by hand: the database's JSON, read and written once.
        context = database._sign(statement, principal)
        async with pool.connection() as connection:
            cursor = await connection.execute(statement.sent, (21, context))
            row = await cursor.fetchone()
        assert row is not None
        enforced, rows = row[:2]
        assert enforced == tenant
        return JSONResponse({"claims": json.loads(rows)[:20]})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await pool.open()
        yield
        await pool.close()

    return Starlette(routes=[Route("/claims", claims, methods=["POST"])], lifespan=lifespan)


def first_page(database_url: str) -> Statement[bytes]:
    """Return the statement that query_claims sends without arguments."""
    table = load_catalog(["sample"]).tables["app.claims"]
    with psycopg.connect(database_url, cursor_factory=psycopg.RawCursor) as connection:
        facts = read_facts(connection, [table.name])[table.name]
    return CompiledTable(table, facts).listing((), "filed_at", descending=True, start="beginning")


def answer_questions(server: Server, loop: asyncio.AbstractEventLoop) -> None:
    """Answer on standard input and output until it ends, then stop the server."""
    profile = cProfile.Profile()
    for line in sys.stdin:
        match line.split():
            case ["cpu"]:
                print(time.process_time(), flush=True)
            case ["profile"]:
                _run_in(loop, profile.enable)
                print("profiling", flush=True)
            case ["report", file]:
                _run_in(loop, profile.disable)
                profile.dump_stats(Path(file))
                print("written", flush=True)
            case _:
                while not server.started:
                    time.sleep(0.01)
                print("ready", flush=True)
    server.should_exit = True


def _run_in(loop: asyncio.AbstractEventLoop, function: Any) -> None:
    """Call `function` on the event loop's thread, which is the one that a profile watches."""
    done = threading.Event()
    loop.call_soon_threadsafe(lambda: (function(), done.set()))
    done.wait()


async def serve(kind: str, port: int) -> None:
    """Serve until standard input ends."""
    app = bare_app() if kind == "bare" else create_app(load_settings())
    listener = listen("127.0.0.1", port)
    server = Server(server_config(app))
    questions = threading.Thread(target=answer_questions, args=(server, asyncio.get_running_loop()), daemon=True)
    questions.start()
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    configure_logs(logging.INFO)
    kind, port = sys.argv[1:]
    import uvloop

    uvloop.run(serve(kind, int(port)))
