"""The log: one JSON object a line; no token, no row, no argument value."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

_QUIET: Final = ("httpx2", "httpcore2", "mcp", "botocore", "urllib3", "uvicorn.access")


def configure_logs(
    level: int = logging.INFO, file: Path | None = None, tell: Callable[[Mapping[str, Any]], None] | None = None
) -> None:
    """Send structlog and the libraries' own loggers to standard error, or to the end of `file`, as JSON lines.

    `tell` is shown each event of structlog too.
    """
    stream = file.open("a", encoding="utf-8", buffering=1) if file else sys.stderr
    told: list[structlog.typing.Processor] = [_teller(tell)] if tell else []
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*told, *shared, structlog.processors.EventRenamer("event"), structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _teller(tell: Callable[[Mapping[str, Any]], None]) -> structlog.typing.Processor:
    def processor(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        tell(event)
        return event

    return processor
