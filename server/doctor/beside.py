"""What a start asks the database, in a process of its own while this one loads libraries: isolation first."""

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

_ENDED: Final = "the process that proves isolation was ended before it had an answer; start again"


@contextmanager
def proof_beside(settings: Settings, catalog: Catalog) -> Generator[FirstProof]:
    """Begin the proof, and yield what waits for it; that raises StartupError when isolation does not hold.

    It does so too where the database cannot have the connections that the workers may open.

    A thread would not do: it and the loading of libraries would wait for each other's interpreter lock. Nothing else
    may run in this process yet, since a fork copies one thread alone.
    """
    beside = multiprocessing.get_context("fork")
    answers, answer = beside.Pipe(duplex=False)
    child = beside.Process(target=_prove, args=(answer, settings, catalog), daemon=True)
    child.start()
    # The child's alone now, so that its end is noticed.
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
