"""Counts and traces of requests; one instance per application, none where telemetry is off."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.types import Scope

from server.http.outcome import Outcome, VerifiedRequest
from server.telemetry import names
from server.telemetry.answers import REASONS, UNRECORDED, failure_of, reason_of, shown_id, version_of
from server.telemetry.histogram import OTHER, Histogram
from server.telemetry.metrics import LAG, OPERATIONS
from server.telemetry.parent import RemoteSpan, span_of_header
from server.telemetry.watch import CURRENT, Measures, Watch

if TYPE_CHECKING:
    from server.telemetry.tracing import Tracing

_VERSIONS: Final = frozenset({*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS})
_NETWORK: Final = {names.TRANSPORT: "tcp", names.PROTOCOL: "http"}
_CALL: Final = "tools/call"


class Telemetry:
    """Counts requests, and starts and ends their traces; no text from a caller becomes a name, label or attribute."""

    def __init__(self, measures: Measures, tenants: tuple[str, ...] = (), tracing: "Tracing | None" = None) -> None:
        """Show only the names of `tenants`; without `tracing` there are no spans."""
        self.operations: Final = Histogram(OPERATIONS.bounds)
        self.measures: Final = measures
        self.lag: Final = Histogram(LAG.bounds)
        self.requests: Final = Counter[int]()
        # Each is shown from the start, so that the first one is visible as an increase.
        self.refusals: Final = dict.fromkeys(sorted(REASONS), 0)
        self.tracing: Final = tracing
        self._tenants: Final = frozenset(tenants)

    def begin(self, request: VerifiedRequest, message: Any, named: RemoteSpan | None) -> None:
        """Watch a request from here on; `named` is the parent span that its `message` names."""
        trace = None
        if self.tracing is not None:
            scope = request.scope
            trace = self.tracing.begin(named, span_of_header(request.headers.get(b"traceparent")), scope["started"])
            if trace is not None:
                scope["trace"] = trace.trace_id
                given = cast("dict[str, Any]", message).get("id") if isinstance(message, dict) else None
                trace.span.set_attributes(
                    {
                        **_NETWORK,
                        names.PROTOCOL_VERSION: scope.get("http_version", "1.1"),
                        names.REQUEST_ID: scope["request_id"],
                        **version_of(request.headers, _VERSIONS),
                        **shown_id(given),
                    }
                )
        request.scope["watch"] = watch = Watch(self.measures, trace)
        CURRENT.set(watch)

    def answered(self, outcome: Outcome, scope: Scope, started: float, *, recorded: bool = True) -> None:
        """Count an answer and end its trace; `recorded` is False when its audit record failed."""
        decision = outcome.decision
        self.requests[outcome.status] += 1
        reason = reason_of(outcome) if recorded else UNRECORDED
        if reason is not None:
            self.refusals[reason] += 1
        watch: Watch | None = scope.get("watch")
        trace = watch.trace if watch is not None else None
        if decision.mcp_method is None and trace is None:
            return
        failed = failure_of(outcome)
        if decision.mcp_method is not None:
            labels = (decision.mcp_method, decision.tool or "", str(failed.get(names.ERROR_TYPE, "")))
            self.operations.observe((*labels, self._tenant(decision.tenant)), time.perf_counter() - started)
        if trace is not None:
            what = _described(decision.mcp_method, decision.tool)
            name = " ".join(str(what[one]) for one in (names.MCP_METHOD, names.TOOL) if one in what)
            trace.end(name or "request", {**what, names.HTTP_STATUS: outcome.status, **failed})

    def _tenant(self, tenant: str | None) -> str:
        if tenant is None or not self._tenants:
            return ""
        return tenant if tenant in self._tenants else OTHER


def _described(method: str | None, tool: str | None) -> Mapping[str, str | int]:
    """Return the attributes of the requested method and tool: only names that this server knows."""
    found: dict[str, str | int] = {names.MCP_METHOD: method} if method else {}
    if tool:
        found[names.TOOL] = tool
    if method == _CALL:
        found[names.OPERATION] = names.EXECUTE_TOOL
    return found
