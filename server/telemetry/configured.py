"""Telemetry according to the settings and OpenTelemetry's standard variables."""

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from psycopg import conninfo

from server.settings import DatabaseSettings, Settings
from server.telemetry import names
from server.telemetry.endpoint import MetricsServer
from server.telemetry.environment import exports
from server.telemetry.readings import Watched, read
from server.telemetry.reporting import Reporting
from server.telemetry.sharing import VARIABLE, Sender
from server.telemetry.telemetry import Telemetry
from server.telemetry.watch import Measures

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_INSTANCE: Final = secrets.token_hex(8)


def configured_telemetry(settings: Settings) -> Telemetry | None:
    """Return what counts and traces requests; None where neither is enabled; raises SettingsError."""
    asked = exports()
    if settings.telemetry.metrics_port is None and not asked.metrics and not asked.traces:
        return None
    tracing = None
    if asked.traces:
        from server.telemetry.otlp import exported_traces

        tracing = exported_traces(asked.sampling, _sender())
    return Telemetry(Measures(_database(settings.database)), settings.telemetry.tenants, tracing)


def reporting(
    settings: Settings, telemetry: Telemetry | None, watched: Callable[[], Watched]
) -> AbstractAsyncContextManager[None]:
    """Return what publishes the numbers while the server runs; raise StartupError when its port is in use.

    `watched` returns the parts of the application that serves now: a reload replaces them.
    """
    if telemetry is None:
        return nullcontext()
    own, shared, asked = settings.telemetry, os.environ.get(VARIABLE), exports()
    report = Reporting(lambda: read(telemetry, watched()), telemetry.lag, Sender(shared) if shared else None)
    begins: list[Callable[[], None]] = []
    ends: list[Callable[[], None]] = []
    # With several workers, none of them opens the port: their parent process shows their numbers.
    if own.metrics_port is not None and shared is None and settings.workers == 1:
        server = MetricsServer(own.metrics_host, own.metrics_port, report.text)
        begins.append(server.start)
        ends.append(server.stop)
    if telemetry.tracing is not None:
        ends.append(telemetry.tracing.close)
    if asked.metrics:
        from server.telemetry.otlp import MetricsExport

        export = MetricsExport(asked.interval_s, _sender(), lambda: report.last)
        begins.append(export.start)
        ends.append(export.close)
    return report.running(begins, ends)


def _sender() -> "Resource":
    from server.telemetry.tracing import resource

    return resource(version("tenantgate"), _INSTANCE)


def _database(settings: DatabaseSettings) -> dict[str, str | int]:
    """Return the database's attributes from its URL; with several hosts, of the first."""
    found = conninfo.conninfo_to_dict(settings.url.get_secret_value())
    host, port = (str(found.get(name) or "").split(",")[0] for name in ("host", "port"))
    known: dict[str, str | int] = {names.SERVER_ADDRESS: host} if host else {}
    if host and not host.startswith("/"):
        known[names.SERVER_PORT] = int(port) if port.isdecimal() else 5432
    if found.get("dbname"):
        known[names.DB_NAMESPACE] = str(found["dbname"])
    return known
