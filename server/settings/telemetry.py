"""The settings of metrics, traces and the log, beside the standard variables of OpenTelemetry."""

import logging
from typing import Annotated, Literal

from pydantic import Field

from server.settings.values import TENANT_ID, Section


class TelemetrySettings(Section):
    """Where metrics are shown, and how much is logged; without a port there is no endpoint."""

    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    # Of these alone a metric shows the name; all others are one.
    tenants: Annotated[tuple[Annotated[str, Field(pattern=TENANT_ID)], ...], Field(max_length=100)] = ()
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"

    @property
    def level(self) -> int:
        """The level as the package logging counts it."""
        return logging.getLevelNamesMapping()[self.log_level.upper()]
