"""One request's calls to the database and the documents, measured and, if it is traced, shown as spans."""

import time
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from server.telemetry import names
from server.telemetry.histogram import Histogram
from server.telemetry.metrics import RETRIEVALS, STATEMENTS

if TYPE_CHECKING:
    from server.telemetry.tracing import Trace

T = TypeVar("T")
_RETRIEVAL: Final = {names.OPERATION: names.RETRIEVAL, names.PROVIDER: names.BEDROCK}


class Measures:
    """The durations of statements and of searches."""

    def __init__(self, database: Mapping[str, str | int] | None = None) -> None:
        """Begin with none; `database` has the attributes of every statement's span."""
        self.statements: Final = Histogram(STATEMENTS.bounds)
        self.retrievals: Final = Histogram(RETRIEVALS.bounds)
        self.database: Final = {names.DB_SYSTEM: names.POSTGRESQL, names.DB_OPERATION: "SELECT", **(database or {})}


class Watch:
    """Measures one request; `trace` is None for one that is not traced."""

    __slots__ = ("_measures", "trace")

    def __init__(self, measures: Measures, trace: "Trace | None" = None) -> None:
        """Count in `measures`."""
        self._measures: Final = measures
        self.trace: Final = trace

    async def statement(self, name: str, run: Awaitable[T]) -> T:
        """Return the result of `run`, the statement `name`; measure it with its wait for a connection."""
        summary = f"SELECT {name}"
        more = {**self._measures.database, names.DB_SUMMARY: summary} if self.trace else {}
        return await self._measured(run, self._measures.statements, summary, summary, more)

    async def retrieval(self, knowledge_base: str, run: Awaitable[T]) -> T:
        """Return the result of `run`, a search of the knowledge base with this id; measure it."""
        more = {**_RETRIEVAL, names.DATA_SOURCE: knowledge_base} if self.trace else {}
        name = f"{names.RETRIEVAL} {knowledge_base}"
        return await self._measured(run, self._measures.retrievals, names.RETRIEVAL, name, more)

    async def _measured(
        self, run: Awaitable[T], histogram: Histogram, label: str, name: str, attributes: Mapping[str, str | int]
    ) -> T:
        span = self.trace.child(name, attributes) if self.trace is not None else None
        failed: dict[str, str | int] = {}
        began = time.perf_counter()
        try:
            return await run
        except BaseException as error:
            failed = failure_of(error)
            raise
        finally:
            histogram.observe((label, str(failed.get(names.ERROR_TYPE, ""))), time.perf_counter() - began)
            if span is not None:
                from server.telemetry.tracing import end_span

                end_span(span, failed)


def failure_of(error: BaseException) -> dict[str, str | int]:
    """Return what may be shown of a failure: the SQLSTATE if there is one, else its class; never its text."""
    state: Any = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return {names.ERROR_TYPE: state, names.DB_STATUS: state}
    return {names.ERROR_TYPE: type(error).__name__}


# The request of this task; None where nothing is measured.
CURRENT: Final[ContextVar[Watch | None]] = ContextVar("watch", default=None)
