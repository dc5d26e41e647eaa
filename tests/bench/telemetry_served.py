"""The server in a process of its own, whose telemetry is exchanged while it serves: `python telemetry_served.py PORT`.

One process for all modes, since two processes of the same program differ by more than telemetry costs. On standard
input, `cpu` asks for the process's CPU seconds, and the name of a mode puts it on; an answer is one line.
"""
# it answers on standard output

import asyncio
import logging
import sys
import threading
import time
from typing import Any, Final

import uvloop
from telemetry_modes import MODES, OFF

from server.app import create_app
from server.configuration import load_settings
from server.http.serving import Server, listen, server_config
from server.logs import configure_logs
from server.telemetry.otlp import exported_traces
from server.telemetry.sampling import Sampling
from server.telemetry.telemetry import Telemetry
from server.telemetry.tracing import resource
from server.telemetry.watch import CURRENT, Measures


class Modes:
    """Puts telemetry of one kind or another where the application has it."""

    def __init__(self, app: Any) -> None:
        """Begin with the one that the application has."""
        gate = app.routes[0].app
        self._places: Final = (gate._endpoint, gate._recorder)
        sender = resource("bench", "bench")
        self._made: Final[dict[str, Telemetry | None]] = {OFF: None}
        for name, ratio in MODES.items():
            tracing = exported_traces(Sampling(ratio), sender) if ratio is not None else None
            self._made.setdefault(name, Telemetry(Measures(), (), tracing))

    def put(self, name: str) -> None:
        """Use one from the next request on."""
        CURRENT.set(None)
        for place in self._places:
            place._telemetry = self._made[name]


def answer_questions(server: Server, modes: Modes, loop: asyncio.AbstractEventLoop) -> None:
    """Answer on standard input and output until it ends, then stop the server."""
    for line in sys.stdin:
        match line.strip():
            case "cpu":
                print(time.process_time(), flush=True)
            case "ready":
                while not server.started:
                    time.sleep(0.01)
                print("ready", flush=True)
            case name:
                loop.call_soon_threadsafe(modes.put, name)
                print(name, flush=True)
    server.should_exit = True


async def serve(port: int) -> None:
    """Serve until standard input ends."""
    app = create_app(load_settings())
    server = Server(server_config(app))
    loop = asyncio.get_running_loop()
    threading.Thread(target=answer_questions, args=(server, Modes(app), loop), daemon=True).start()
    await server.serve(sockets=[listen("127.0.0.1", port)])


if __name__ == "__main__":
    configure_logs(logging.INFO)
    uvloop.run(serve(int(sys.argv[1])))
