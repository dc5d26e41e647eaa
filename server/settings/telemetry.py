"""The settings of metrics, traces and the log, in addition to OpenTelemetry's standard variables."""

import logging
from typing import Annotated, Literal

from pydantic import Field

from server.settings.values import TENANT_ID, Section


class TelemetrySettings(Section):
    """Where metrics are published, and how much is logged; without a port there is no endpoint."""

    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """the address of that port"""
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """the port of `GET /metrics` for Prometheus, without a token; one for all workers"""
    # Metrics show only these tenants by name; all others share one label.
    tenants: Annotated[tuple[Annotated[str, Field(pattern=TENANT_ID)], ...], Field(max_length=100)] = ()
    """tenants whose names metrics may show; all others are `other`"""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    """the lowest level that is logged"""

    @property
    def level(self) -> int:
        """The level as a number of the package logging."""
        return logging.getLevelNamesMapping()[self.log_level.upper()]
