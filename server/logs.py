"""The log: one JSON object per line; no token, row or argument value. A full disk loses lines but stops nothing."""

import io
import json
import logging
import os
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import structlog

from server.ascii_json import ascii_json

_STDERR: Final = 2
# uvicorn's message for each request that its parser refuses.
_INVALID: Final = "Invalid HTTP request received."
_QUIET: Final = ("httpx2", "httpcore2", "mcp", "botocore", "urllib3", "uvicorn.access")


class Lines(io.TextIOBase):
    """Writes whole lines to a descriptor; lines that it does not take are dropped, counted and reported later."""

    def __init__(self, descriptor: int) -> None:
        """Write to `descriptor` without a buffer, which would fill up."""
        self._descriptor: Final = descriptor
        # Threads must not write a part of a line each.
        self._lock: Final = Lock()
        self._dropped = 0
        # Whether a part of a line was written; the next line must not continue it.
        self._broken = False

    def write(self, text: str, /) -> int:
        """Write `text`, one or more lines, or drop it."""
        self.line(text.encode("utf-8", "replace"))
        return len(text)

    def line(self, data: bytes) -> None:
        """Write one or more lines, each with its end, or drop them."""
        with self._lock:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._dropped:
            report = f'{{"event": "log lines were dropped", "level": "warning", "lines": {self._dropped}}}\n'.encode()
            data = (b"\n" if self._broken else b"") + report + data
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            written = 0
        if written == len(data):
            self._dropped, self._broken = 0, False
        else:
            self._dropped += 1
            self._broken = self._broken or written > 0

    def writable(self) -> bool:
        """Return True."""
        return True


class Repeated(logging.Filter):
    """Lets a message of the HTTP server that anybody can cause pass once per interval, with its count."""

    def __init__(self, message: str, interval_s: float = 10.0) -> None:
        """Look for `message`; every other message passes."""
        super().__init__()
        self._message: Final = message
        self._interval_s: Final = interval_s
        self._next_at = 0.0
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.msg != self._message:
            return True
        now = time.monotonic()
        if now < self._next_at:
            self._kept_back += 1
            return False
        if self._kept_back:
            record.msg = f"{self._message} ({self._kept_back} more since the last)"
        self._next_at, self._kept_back = now + self._interval_s, 0
        return True


def configure_logs(level: int = logging.INFO, file: Path | None = None) -> None:
    """Send structlog and the libraries' own loggers to standard error, or to the end of `file`, as JSON lines."""
    stream: Final = Lines(
        os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644) if file else _STDERR
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.processors.format_exc_info, _stamped, _rendered],
        wrapper_class=_logger_class(level),
        logger_factory=lambda *_: _Writer(stream),
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
    # The libraries' debug messages may hold a token or a row.
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    logging.getLogger("uvicorn.error").addFilter(Repeated(_INVALID))
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Writer:
    """What structlog hands rendered lines to."""

    def __init__(self, lines: Lines) -> None:
        self._lines: Final = lines

    def msg(self, line: bytes) -> None:
        self._lines.line(line + b"\n")

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def _logger_class(level: int) -> Any:
    """Return structlog's class of loggers for `level`, with a short way for lines like the one of each request."""
    usual: Any = structlog.make_filtering_bound_logger(level)
    if level > logging.INFO:
        return usual

    class Logger(usual):
        def info(self, event: str, *values: Any, **fields: Any) -> Any:
            if values or self._context:
                return usual.info(self, event, *values, **fields)
            fields["event"] = event
            line: Any = fields
            try:
                for processor in self._processors:
                    line = processor(self._logger, "info", line)
            except structlog.DropEvent:
                return None
            return self._logger.info(line)

    return Logger


def _stamped(_logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add level, time and name to a line, as structlog's own processors do, in one step."""
    event["level"] = method
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    event["timestamp"] = f"{_second(seconds)}.{microseconds:06d}Z"
    event["event"] = event.pop("event")
    return event


@lru_cache(1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _rendered(_logger: Any, _method: str, event: structlog.typing.EventDict) -> bytes:
    """Return the line; everything beyond ASCII is escaped, so that nothing in it can move a cursor."""
    try:
        return ascii_json(event, repr)
    except ValueError:  # half of a surrogate pair
        return json.dumps(event, default=repr).encode()
