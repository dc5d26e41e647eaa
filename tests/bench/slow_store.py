"""A document store that takes two seconds for every answer, or as many as are named: `slow_store.py PORT [SECONDS]`."""

import asyncio
import sys
import threading
from typing import Any, Final

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.http.serving import Server, listen, server_config

DELAY_S: Final = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
_PASSAGE: Final[dict[str, Any]] = {
    "content": {"text": "The deductible for auto insurance is $1,000 per claim. " * 10, "type": "TEXT"},
    "location": {"type": "S3", "s3Location": {"uri": "s3://bench/auto-policy-regular.md"}},
    "metadata": {"tier": "regular", "document_type": "policy"},
    "score": 0.8,
}


async def retrieve(_request: Request) -> Response:
    """Answer with five passages of the tier `regular`, late."""
    await asyncio.sleep(DELAY_S)
    return JSONResponse({"retrievalResults": [_PASSAGE] * 5})


def answer_questions(server: Server) -> None:
    """Say when it is ready; stop with the end of standard input."""
    for _line in sys.stdin:
        while not server.started:
            threading.Event().wait(0.01)
        print("ready", flush=True)
    server.should_exit = True


async def serve(port: int) -> None:
    """Serve until standard input ends."""
    app = Starlette(routes=[Route("/knowledgebases/{identifier}/retrieve", retrieve, methods=["POST"])])
    server = Server(server_config(app))
    threading.Thread(target=answer_questions, args=(server,), daemon=True).start()
    await server.serve(sockets=[listen("127.0.0.1", port)])


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
