"""What the standard variables and the settings ask for, and what stops the start with one line."""

import json
import logging
import socket
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.telemetry import PACKAGES, variables

from server.dev.stack import Stack
from server.errors import SettingsError, StartupError
from server.logs import configure_logs
from server.settings import AuditSettings, TelemetrySettings
from server.telemetry.environment import exports
from server.telemetry.sharing import gathering
from server.workers.kept import Kept

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.fixture
def _installed() -> None:
    pytest.importorskip(PACKAGES, reason="the packages of the extra telemetry are missing")


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("given", "traces", "metrics"),
    [
        ({}, False, False),
        (ENDPOINT, True, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, False, False),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, True, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, False, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True, True),
    ],
)
def test_the_standard_variables_switch_each_export_on_and_off(
    given: dict[str, str], traces: bool, metrics: bool
) -> None:
    found = exports(given)
    assert (found.traces, found.metrics) == (traces, metrics)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'"),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf"),
        (ENDPOINT | {"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "parentbased_traceidratio"),
        (ENDPOINT | {"OTEL_TRACES_SAMPLER_ARG": "5%"}, "a number from 0 to 1"),
        (ENDPOINT | {"OTEL_TRACES_SAMPLER_ARG": "nan"}, "a number from 0 to 1"),
        (ENDPOINT | {"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "a number of milliseconds"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_names_the_variable(given: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=r"OTEL_\w+ is ") as refused:
        exports(given)
    assert names in str(refused.value)


def test_an_export_without_its_packages_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES, None)  # type: ignore[arg-type]  # as where it is not installed
    with pytest.raises(SettingsError, match=r"install tenantgate\[telemetry\]"):
        exports(ENDPOINT)
    assert not exports({}).traces


def test_a_port_that_is_taken_stops_the_start_with_one_line(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, variables():
        telemetry = TelemetrySettings(metrics_port=taken.getsockname()[1])
        settings = stack.settings.model_copy(update={"telemetry": telemetry, "audit": AuditSettings()})
        with pytest.raises(StartupError, match="cannot listen on 127"):
            Kept.begun(settings).shown(settings)
        # And where the process that starts several workers has the port.
        with pytest.raises(StartupError, match="cannot listen on 127"), gathering(telemetry):
            pass


@pytest.mark.parametrize("wrong", [{"metrics_port": 0}, {"tenants": ["a b"]}, {"log_level": "loud"}, {"port": 1}])
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TelemetrySettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("level", "ours", "others"),
    [("debug", ["debug", "info", "warning"], ["info", "warning"]), ("warning", ["warning"], ["warning"])],
)
def test_the_level_is_of_our_own_lines_and_libraries_never_say_more_than_info(
    tmp_path: Path, level: str, ours: list[str], others: list[str]
) -> None:
    import structlog

    before = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logs(TelemetrySettings.model_validate({"log_level": level}).level, tmp_path / "log")
        for name in ("debug", "info", "warning"):
            getattr(structlog.get_logger("of the test"), name)("ours")
            getattr(logging.getLogger("a library"), name)("others")
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    finally:
        structlog.configure(**before[0])
        logging.basicConfig(handlers=before[1], level=before[2], force=True)
    assert [one["level"] for one in lines if one["event"] == "ours"] == ours
    assert [one["level"] for one in lines if one["event"] == "others"] == others
