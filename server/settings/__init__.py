"""The settings: one file for each section, and all sections together in `settings.py`."""

from server.settings.audit import AuditSettings
from server.settings.connections import ConnectionsSettings
from server.settings.database import DatabaseSettings
from server.settings.documents import DocumentsSettings
from server.settings.issuer import IssuerSettings
from server.settings.limits import LimitsSettings
from server.settings.settings import CONFIG_VARIABLE, PREFIX, SAMPLE, Settings
from server.settings.telemetry import TelemetrySettings
from server.settings.tenancy import TenancySettings
from server.settings.values import SCOPE, TENANT_ID, Algorithm, Scope, is_https_or_loopback

__all__ = [
    "CONFIG_VARIABLE",
    "PREFIX",
    "SAMPLE",
    "SCOPE",
    "TENANT_ID",
    "Algorithm",
    "AuditSettings",
    "ConnectionsSettings",
    "DatabaseSettings",
    "DocumentsSettings",
    "IssuerSettings",
    "LimitsSettings",
    "Scope",
    "Settings",
    "TelemetrySettings",
    "TenancySettings",
    "is_https_or_loopback",
]
