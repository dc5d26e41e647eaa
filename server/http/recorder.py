"""What becomes of every decision: a record in the audit trail before its answer leaves, and a line in the log."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from starlette.types import Scope

from server.audit.over_budget import OverBudget
from server.audit.refusals import INTERVAL_S, Refusals
from server.audit.trail import AuditTrail
from server.errors import AuditError
from server.http.outcome import UNAVAILABLE, Outcome, refusal
from server.http.source import Sources, network_of
from server.settings import Settings
from server.telemetry.parent import span_of_header
from server.telemetry.telemetry import Telemetry

_TICK_S: Final = 1.0
_TOO_MANY: Final = 429
_RETRY: Final = ("retry-after", "5")
_log: Final = structlog.get_logger("request")
_audit_log: Final = structlog.get_logger("audit")


def new_request_id() -> str:
    """Return an id for one request; it is random, so it does not show how many others there are."""
    return os.urandom(8).hex()


class Recorder:
    """Records decisions.

    Refusals of callers that nobody authenticated, and those over a budget but for the first few, are counted, in the
    log as in the trail.
    """

    def __init__(self, settings: Settings, trail: AuditTrail | None = None, telemetry: Telemetry | None = None) -> None:
        """Write to `trail`, where there is one; count in `telemetry`, where there is that."""
        self._trail: Final = trail
        self._telemetry: Final = telemetry
        self._sources: Final = Sources(settings.trusted_proxies)
        self._refusals: Final = Refusals()
        self._over_budget: Final = OverBudget()
        self._said_at: float | None = None

    @property
    def problem(self) -> str | None:
        """Why nothing can be recorded now; None while all is well."""
        return self._trail.problem if self._trail else None

    def recorded(
        self, outcome: Outcome, scope: Scope, headers: Mapping[bytes, bytes], started: float
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """Return the outcome, and its log line, or None for one that was only counted.

        It is in the audit trail; 503 takes the place of what cannot be recorded.
        """
        recorded, line = self._recorded(outcome, scope, headers, started)
        if self._telemetry is not None:
            self._telemetry.answered(recorded, scope, started, recorded=recorded is outcome)
        return recorded, line

    def _recorded(
        self, outcome: Outcome, scope: Scope, headers: Mapping[bytes, bytes], started: float
    ) -> tuple[Outcome, dict[str, Any] | None]:
        address = self._sources.address(scope, headers)
        line: dict[str, Any] = {"request": scope.get("request_id"), "address": address}
        if (trace := _trace(scope, headers)) is not None:
            line["trace"] = trace
        key = None if outcome.is_authenticated else (_reason(outcome), network_of(address) or "unknown")
        counted = key is not None
        try:
            if key is not None and not self._refusals.is_first(*key):
                if self.problem is not None:
                    raise AuditError  # noqa: TRY301  # not even counts can be kept for good
                return outcome, None
            line |= outcome.decision.recorded(outcome.status)
            if outcome.status == _TOO_MANY and key is None and not self._over_budget.is_written(*_person(outcome)):
                counted = True
                if self.problem is not None:
                    raise AuditError  # noqa: TRY301  # as above
                self._over_budget.count(line | outcome.decision.recorded_alone() | _of_answer(outcome, started))
                return outcome, None
            if self._trail:
                self._trail.append(line | outcome.decision.recorded_alone() | _of_answer(outcome, started))
        except AuditError as error:
            self._say(error)
            if key is not None:
                self._refusals.forget(*key)
            unrecorded = refusal(503, UNAVAILABLE, str(error), outcome.decision, _RETRY)
            return unrecorded, None if counted else line | outcome.decision.recorded(503)
        self._recovered()
        return outcome, line

    def log(self, line: Mapping[str, Any] | None, outcome: Outcome, started: float) -> None:
        """Log one line of a request that is over."""
        if line is not None:
            if outcome.decision.cause is not None:
                line = {**line, "cause": outcome.decision.cause}
            _log.info("request", **line, ms=round((time.perf_counter() - started) * 1000, 2))

    @asynccontextmanager
    async def keeping(self, *, shared: bool = False) -> AsyncGenerator[None]:
        """Keep the trail while serving: once a second what is due, at the end what was counted.

        A `shared` trail is closed, and rotated on SIGHUP, by somebody else.
        """
        loop = asyncio.get_running_loop()
        rotates = self._trail is not None and not shared and threading.current_thread() is threading.main_thread()
        if rotates:
            loop.add_signal_handler(signal.SIGHUP, self._rotate)
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            if rotates:
                loop.remove_signal_handler(signal.SIGHUP)
            self._flush(at_once=True)
            if self._trail and not shared:
                self._trail.close()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                if self._trail:
                    self._trail.tick()
            except AuditError as error:
                self._say(error)
            else:
                self._recovered()
                self._flush(at_once=False)

    def _flush(self, *, at_once: bool) -> None:
        with suppress(AuditError):
            self._refusals.flush(self._counted, at_once=at_once)
            self._over_budget.flush(self._counted, at_once=at_once)

    def _counted(self, record: Mapping[str, Any]) -> None:
        if self._trail:
            self._trail.append(record)
        _log.info("refused", **{name: value for name, value in record.items() if name != "event"})

    def _rotate(self) -> None:
        if self._trail:
            try:
                self._trail.rotate()
            except AuditError as error:
                self._say(error)

    def _say(self, error: AuditError) -> None:
        """Log why nothing can be recorded: at once, and again while it lasts."""
        now = time.monotonic()
        if self._said_at is None or now - self._said_at >= INTERVAL_S:
            self._said_at = now
            _audit_log.critical("the audit trail cannot be written", cause=repr(error.__cause__), problem=self.problem)

    def _recovered(self) -> None:
        if self._said_at is not None:
            self._said_at = None
            _audit_log.warning("the audit trail is written again")


def _reason(outcome: Outcome) -> str:
    """Return the constant text that says why a caller whom nobody authenticated got this answer."""
    return outcome.decision.refused or str(outcome.status)


def _person(outcome: Outcome) -> tuple[str, str]:
    return outcome.decision.issuer or "", outcome.decision.subject or ""


def _trace(scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
    """Return the id of the request's trace: as its message names it, else as its header does."""
    named: str | None = scope.get("trace")
    if named is None and (span := span_of_header(headers.get(b"traceparent"))) is not None:
        return span.trace_id
    return named


def _of_answer(outcome: Outcome, started: float) -> dict[str, Any]:
    """Return the fields that only the audit record has."""
    return {"bytes": len(outcome.body), "ms": round((time.perf_counter() - started) * 1000, 2)}
