"""The audit record and the operator's log line of a request, found by its id in the files of the development stack."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from client_demo.attempts.report import Record

_PATIENCE_S: Final = 1.0
_STEP_S: Final = 0.02


class Records:
    """What is written to the trail and the log from now on."""

    def __init__(self, folder: Path) -> None:
        """Remember where both files end."""
        self._files: Final = (folder / "audit.jsonl", folder / "server.log")
        self._ends: Final = [_size(file) for file in self._files]

    def of(self, requests: Iterable[tuple[str, int]]) -> list[Record]:
        """Return the records of requests, given by id and HTTP status; the log's line may come after the answer."""
        wanted = list(requests)
        ids = {request for request, _ in wanted}
        until = time.monotonic() + _PATIENCE_S
        audit, log = self._read(ids)
        while time.monotonic() < until and not (ids <= audit.keys() and (ids <= log.keys() or not self._has_log)):
            time.sleep(_STEP_S)
            audit, log = self._read(ids)
        return [Record(request, status, audit.get(request), log.get(request)) for request, status in wanted]

    @property
    def _has_log(self) -> bool:
        return self._files[1].exists()

    def _read(self, ids: set[str]) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]]]:
        audit, log = (_lines(file, end, ids) for file, end in zip(self._files, self._ends, strict=True))
        return audit, log


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _lines(file: Path, begin: int, ids: set[str]) -> dict[str, Mapping[str, Any]]:
    """Return the lines after `begin` whose `request` is wanted, by id; a file that was rotated is read whole."""
    try:
        with file.open("rb") as opened:
            opened.seek(begin if _size(file) >= begin else 0)
            text = opened.read()
    except OSError:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for line in text.splitlines():
        # Cheaper than parsing each line, and a line that is still being written is left for the next look.
        if not any(one.encode() in line for one in ids):
            continue
        try:
            values: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if values.get("request") in ids:
            found[values["request"]] = values
    return found
