"""The numbers that the parts of the server count, read once per second: they are plain integers, cheap per call."""

import os
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from server.audit.trail import AuditTrail
from server.auth.verifier import TokenVerifier
from server.catalog.parts import Parts
from server.fair_queue import FairQueue
from server.http.connections import Connections
from server.http.paced_refusals import PacedRefusals
from server.protocol.lists import KeptLists
from server.telemetry import names
from server.telemetry.snapshot import Labels, Snapshot, Value, of_histogram
from server.telemetry.telemetry import Telemetry
from server.tenancy.registry import TenantDirectory

_VERSIONS: Final[Labels] = (version("tenantgate"), version("mcp"))
_Series = Mapping[Labels, Value]


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts whose numbers are shown."""

    parts: Parts
    verifier: TokenVerifier
    directory: TenantDirectory
    lists: KeptLists
    connections: Connections
    refusals: PacedRefusals
    trail: AuditTrail | None


def read(telemetry: Telemetry, watched: Watched) -> Snapshot:
    """Return this process's numbers now; call it on the event loop, to which they belong."""
    database, documents = watched.parts.database, watched.parts.documents
    found: dict[str, _Series | float | None] = {
        names.SERVER_DURATION: of_histogram(telemetry.operations),
        names.DB_DURATION: of_histogram(telemetry.measures.statements),
        names.GEN_AI_DURATION: of_histogram(telemetry.measures.retrievals),
        "tenantgate.event_loop.lag": of_histogram(telemetry.lag),
        "tenantgate.requests": {(str(status),): count for status, count in telemetry.requests.items()},
        "tenantgate.refusals": {(reason,): count for reason, count in telemetry.refusals.items()},
        "tenantgate.refusals.held": watched.refusals.held,
        "tenantgate.refusals.unheld": watched.refusals.unheld,
        "tenantgate.traces.recorded": telemetry.tracing.recorded if telemetry.tracing else 0,
        "tenantgate.isolation.proved": database.proved,
        "tenantgate.isolation.proof.age": _age_s(database.proved_at),
        "tenantgate.build": {_VERSIONS: 1},
        **_pool(watched),
        **_queues(watched),
        **_keys(watched.verifier),
        **_audit(watched.trail),
        **_connections(watched.connections),
        **_process(),
    }
    if (shared := watched.parts.limits.shared) is not None:
        found |= {
            "tenantgate.limits.shared": shared.is_shared,
            "tenantgate.limits.store.failures": shared.failures,
            "tenantgate.limits.local": shared.counted_locally,
        }
    if documents is not None:
        counts = documents.counts
        found |= {
            "tenantgate.documents.proved": documents.proved,
            "tenantgate.documents.calls": counts.calls,
            "tenantgate.documents.errors": counts.errors,
            "tenantgate.documents.throttles": counts.throttles,
        }
    return {
        name: value if isinstance(value, Mapping) else {(): float(value)}
        for name, value in found.items()
        if value is not None
    }


def _pool(watched: Watched) -> dict[str, _Series | float | None]:
    pool = watched.parts.database.pool
    return {
        names.POOL_COUNT: {("idle",): pool.idle, ("used",): pool.size - pool.idle},
        names.POOL_MAXIMUM: pool.maximum,
        names.POOL_PENDING: pool.places.waiting,
        names.POOL_TIMEOUTS: pool.places.timeouts,
    }


def _queues(watched: Watched) -> dict[str, _Series | float | None]:
    queues: dict[str, FairQueue] = {
        "database": watched.parts.database.pool.places,
        "documents": watched.parts.searches,
        "lookups": watched.directory.places,
    }
    caches = {
        "tokens": watched.verifier.remembered,
        "lists": len(watched.lists),
        "directory": len(watched.directory),
    }
    return {
        "tenantgate.queue.waiting": {(name,): queue.waiting for name, queue in queues.items()},
        "tenantgate.queue.timeouts": {(name,): queue.timeouts for name, queue in queues.items()},
        "tenantgate.queue.refused": {(name,): queue.refused for name, queue in queues.items()},
        "tenantgate.cache.entries": {(name,): count for name, count in caches.items()},
    }


def _keys(verifier: TokenVerifier) -> dict[str, _Series | float | None]:
    ages = {(issuer,): keys.age_s for issuer, keys in verifier.key_sets.items()}
    return {
        "tenantgate.keys.fetches": {(issuer,): keys.attempts for issuer, keys in verifier.key_sets.items()},
        "tenantgate.keys.failures": {(issuer,): keys.failures for issuer, keys in verifier.key_sets.items()},
        "tenantgate.keys.age": {labels: age for labels, age in ages.items() if age is not None},
    }


def _audit(trail: AuditTrail | None) -> dict[str, _Series | float | None]:
    if trail is None:
        return {}
    return {
        "tenantgate.audit.records": trail.records,
        "tenantgate.audit.unsealed": trail.unsealed,
        "tenantgate.audit.checkpoint.age": trail.sealed_ago_s,
        "tenantgate.audit.writable": trail.problem is None,
    }


def _connections(connections: Connections) -> dict[str, _Series | float | None]:
    return {
        "tenantgate.connections.open": connections.open,
        "tenantgate.connections.trusted": connections.trusted,
        "tenantgate.connections.dropped": connections.dropped,
        "tenantgate.connections.refused": connections.refused,
    }


def _process() -> dict[str, _Series | float | None]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    found: dict[str, _Series | float | None] = {names.PROCESS_CPU: used.ru_utime + used.ru_stime}
    if sys.platform == "linux":
        with suppress(OSError):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            found[names.PROCESS_MEMORY] = pages * os.sysconf("SC_PAGE_SIZE")
            found[names.PROCESS_FILES] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # only names are needed
    return found


def _age_s(since: float | None) -> float | None:
    return None if since is None else time.monotonic() - since
