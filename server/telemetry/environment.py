"""OpenTelemetry's standard variables (OpenTelemetry specification, environment variables)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from server.errors import SettingsError
from server.telemetry.sampling import Sampling, sampling_of

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL: Final = "http/protobuf"
_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_INTERVAL_MS: Final = "60000"


@dataclass(frozen=True, slots=True)
class Exports:
    """What is exported by OTLP, and which requests are traced."""

    traces: bool = False
    metrics: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    interval_s: float = 60.0


def exports(variables: Mapping[str, str] = os.environ) -> Exports:
    """Return the exports that the variables enable; none with OTEL_SDK_DISABLED.

    Raises SettingsError for values that are not supported.
    """
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Exports()
    traces, metrics = _is_asked(variables, "TRACES"), _is_asked(variables, "METRICS")
    if not traces and not metrics:
        return Exports()
    if not _is_installed():
        raise SettingsError(
            "the OTEL_ variables ask for OpenTelemetry's export, whose packages are not installed; "
            "install tenantgate[telemetry], or set OTEL_SDK_DISABLED=true"
        )
    return Exports(traces, metrics, sampling_of(variables), _interval_s(variables))


def _is_asked(variables: Mapping[str, str], signal: str) -> bool:
    """Whether a signal is exported: its exporter is `otlp`, or none is named and it has an endpoint."""
    name = f"OTEL_{signal}_EXPORTER"
    exporter = variables.get(name, "").strip()
    if exporter not in {"", "otlp", "none"}:
        raise SettingsError(f"{name} is {exporter!a}; set otlp or none")
    endpoint = variables.get(_ENDPOINT) or variables.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    asked = exporter == "otlp" or (not exporter and bool(endpoint))
    for protocol in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if asked and variables.get(protocol, _PROTOCOL).strip() not in {"", _PROTOCOL}:
            raise SettingsError(f"{protocol} is {variables[protocol]!a}; only {_PROTOCOL} is sent")
    return asked


def _is_installed() -> bool:
    try:
        return all(find_spec(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:
        return False


def _interval_s(variables: Mapping[str, str]) -> float:
    text = variables.get(_INTERVAL, "").strip() or _INTERVAL_MS
    if not text.isdecimal() or not int(text):
        raise SettingsError(f"{_INTERVAL} is {text!a}; set a number of milliseconds")
    return int(text) / 1000
