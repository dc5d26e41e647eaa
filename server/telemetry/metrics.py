"""Every metric: its name, kind, unit, labels and meaning. docs/telemetry.md has the same rows."""

from dataclasses import dataclass
from typing import Final, Literal

from server.telemetry import names

Kind = Literal["counter", "gauge", "histogram"]
# The boundaries of the MCP conventions, and finer ones below 10 ms, where most calls are.
OPERATION_BOUNDS_S: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)
# The boundaries of the database conventions, and a finer one.
DEPENDENCY_BOUNDS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
LAG_BOUNDS_S: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_UNITS: Final = {"s": "seconds", "By": "bytes"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `name` is OpenTelemetry's; `prometheus` is the name in a scrape where it does not follow the rule.

    A gauge also has the label `worker`; counters and histograms are added up over the workers.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = "1"
    bounds: tuple[float, ...] = ()
    prometheus: str = ""

    @property
    def exposed(self) -> str:
        """The name in a scrape: underscores for dots, then the unit, then `_total` for a counter."""
        if self.prometheus:
            return self.prometheus
        unit = f"_{_UNITS[self.unit]}" if self.unit in _UNITS else ""
        return self.name.replace(".", "_") + unit + ("_total" if self.kind == "counter" else "")


OPERATIONS: Final = Metric(
    names.SERVER_DURATION,
    "histogram",
    "Duration of MCP requests, from their arrival until the answer is ready.",
    (names.MCP_METHOD, names.TOOL, names.ERROR_TYPE, names.TENANT),
    "s",
    OPERATION_BOUNDS_S,
)
STATEMENTS: Final = Metric(
    names.DB_DURATION,
    "histogram",
    "Duration of statements, the wait for a connection included.",
    (names.DB_SUMMARY, names.ERROR_TYPE),
    "s",
    DEPENDENCY_BOUNDS_S,
)
RETRIEVALS: Final = Metric(
    names.GEN_AI_DURATION,
    "histogram",
    "Duration of searches of the knowledge base, retries and pages included.",
    (names.OPERATION, names.ERROR_TYPE),
    "s",
    DEPENDENCY_BOUNDS_S,
)
LAG: Final = Metric(
    "tenantgate.event_loop.lag",
    "histogram",
    "How much later than asked the event loop woke up, ten times a second.",
    (),
    "s",
    LAG_BOUNDS_S,
)
METRICS: Final = (
    OPERATIONS,
    Metric("tenantgate.requests", "counter", "Answers by HTTP status, refusals included.", (names.HTTP_STATUS,)),
    Metric("tenantgate.refusals", "counter", "Requests that were not answered as asked, by reason.", ("reason",)),
    Metric("tenantgate.refusals.held", "gauge", "Refusals over a budget that are held back now."),
    Metric("tenantgate.refusals.unheld", "counter", "Those that left at once, because too many were held already."),
    STATEMENTS,
    Metric(
        names.POOL_COUNT,
        "gauge",
        "Connections to the database by state.",
        (names.POOL_STATE,),
        prometheus="db_client_connections",
    ),
    Metric(names.POOL_MAXIMUM, "gauge", "Connections to the database that the pool may have."),
    Metric(names.POOL_PENDING, "gauge", "Calls that wait for a connection to the database."),
    Metric(names.POOL_TIMEOUTS, "counter", "Calls that got no connection to the database in time."),
    Metric("tenantgate.queue.waiting", "gauge", "Calls that wait for their turn.", ("queue",)),
    Metric("tenantgate.queue.timeouts", "counter", "Calls whose turn did not come in time.", ("queue",)),
    Metric("tenantgate.queue.refused", "counter", "Calls refused because too many of one holder waited.", ("queue",)),
    Metric("tenantgate.isolation.proved", "gauge", "1 while isolation is proved on the database, else 0."),
    Metric("tenantgate.isolation.proof.age", "gauge", "Time since isolation was last proved.", (), "s"),
    RETRIEVALS,
    Metric("tenantgate.documents.calls", "counter", "Requests to the knowledge base, retries not counted."),
    Metric("tenantgate.documents.errors", "counter", "Requests to the knowledge base that failed."),
    Metric("tenantgate.documents.throttles", "counter", "Those of them that it refused for their number."),
    Metric("tenantgate.documents.proved", "gauge", "1 while the documents are proved to be kept apart, else 0."),
    Metric("tenantgate.keys.fetches", "counter", "Attempts to fetch an issuer's key set.", ("issuer",)),
    Metric("tenantgate.keys.failures", "counter", "Those of them that failed.", ("issuer",)),
    Metric("tenantgate.keys.age", "gauge", "Age of an issuer's key set.", ("issuer",), "s"),
    Metric("tenantgate.cache.entries", "gauge", "What is remembered: tokens, lists, tenant directory.", ("cache",)),
    Metric("tenantgate.audit.records", "counter", "Records that this server's trails got since the start."),
    Metric("tenantgate.audit.unsealed", "gauge", "Records that no checkpoint follows yet."),
    Metric("tenantgate.audit.checkpoint.age", "gauge", "Time since the last checkpoint.", (), "s"),
    Metric("tenantgate.audit.writable", "gauge", "1 while the audit trail can be written, else 0."),
    Metric("tenantgate.limits.shared", "gauge", "1 while the store of limits counts, 0 while each process does."),
    Metric("tenantgate.limits.store.failures", "counter", "How often the store of limits did not answer."),
    Metric(
        "tenantgate.limits.local", "counter", "Requests that a process counted on its own although there is a store."
    ),
    LAG,
    Metric("tenantgate.connections.open", "gauge", "Client connections."),
    Metric("tenantgate.connections.trusted", "gauge", "Client connections that have carried a valid token."),
    Metric("tenantgate.connections.dropped", "counter", "Client connections closed to make room."),
    Metric("tenantgate.connections.refused", "counter", "Client connections not taken for want of room."),
    Metric("tenantgate.traces.recorded", "counter", "Requests whose trace was recorded."),
    Metric(names.PROCESS_CPU, "counter", "CPU time.", (), "s", prometheus="process_cpu_seconds_total"),
    Metric(names.PROCESS_MEMORY, "gauge", "Resident memory.", (), "By", prometheus="process_resident_memory_bytes"),
    Metric(names.PROCESS_FILES, "gauge", "Open files.", prometheus="process_open_fds"),
    Metric(
        "tenantgate.build",
        "gauge",
        "1; the labels say what runs.",
        ("version", "mcp"),
        prometheus="tenantgate_build_info",
    ),
)
