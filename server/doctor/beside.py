"""Ask the database what a start must know, in a separate process while this one loads libraries."""

import multiprocessing
import signal
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from typing import Final

from server.catalog.loading import Catalog
from server.database.room import require_room
from server.doctor.proof import FirstProof, require_isolation
from server.doctor.report import Report
from server.errors import StartupError
from server.settings import Settings

_ENDED: Final = "the process that proves isolation ended without a result; start the server again"


@contextmanager
def proof_beside(settings: Settings, catalog: Catalog) -> Generator[FirstProof]:
    """Begin the proof, and yield a function that waits for it and raises StartupError when isolation does not hold.

    It also raises StartupError where the database has no room for the connections of all workers.

    A thread would not help: it would compete with the loading of libraries for the interpreter lock. No other thread
    may run in this process yet, because a fork copies only one thread.
    """
    beside = multiprocessing.get_context("fork")
    answers, answer = beside.Pipe(duplex=False)
    child = beside.Process(target=_prove, args=(answer, settings, catalog), daemon=True)
    child.start()
    # Only the child has this end now, so that we notice when it exits.
    answer.close()

    @cache
    def result() -> Report | None:
        try:
            proof: Report | Exception | None = answers.recv()
        except EOFError:
            raise StartupError(_ENDED) from None
        if isinstance(proof, Exception):
            raise proof
        return proof

    try:
        yield result
    finally:
        child.kill()
        child.join()
        answers.close()


def _prove(answer: Connection, settings: Settings, catalog: Catalog) -> None:
    # Ctrl+C reaches every process of a terminal; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        proof = require_isolation(settings, catalog)
        require_room(settings.database, settings.workers)
    except Exception as error:  # noqa: BLE001  # the parent raises it
        answer.send(error)
    else:
        answer.send(proof)
