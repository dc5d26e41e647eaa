"""The chain: every record is one line of JSON whose hash covers its own text and the hash of the line before."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pydantic_core import to_json

from server.progress import SILENT, Progress

# The previous hash of the first record.
FIRST: Final = "0" * 64
# A record names people, tools and outcomes; it is never nearly this long.
LONGEST_LINE_BYTES: Final = 262_144
_SEAL: Final = b',"hash":"'
_END: Final = b'"}\n'
_DIGEST_CHARACTERS: Final = 64
# The keys of a line that belong to the chain itself.
OWN_KEYS: Final = frozenset({"number", "time", "previous", "hash"})


def sealed(entry: Mapping[str, Any], previous: str) -> tuple[bytes, str]:
    """Return the line of `entry` after the line with the hash `previous`, and its own hash."""
    body = to_json({**entry, "previous": previous}, ensure_ascii=True, fallback=str)[:-1]
    digest = hashlib.sha256(body).hexdigest()
    return b"".join((body, _SEAL, digest.encode(), _END)), digest


def opened(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line whose own hash is right, else None."""
    body, seal, rest = line.rpartition(_SEAL)
    digest = hashlib.sha256(body).hexdigest()
    if not seal or rest[_DIGEST_CHARACTERS:] != _END or digest.encode() != rest[:_DIGEST_CHARACTERS]:
        return None
    try:
        found: Any = json.loads(body + b"}")
    except ValueError:
        return None
    record = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if type(record.get("number")) is not int or not isinstance(record.get("previous"), str):
        return None
    return record | {"hash": digest}


def lines(file: Path, shown: Progress = SILENT) -> Iterator[bytes]:
    """Yield the lines of one file, decompressed where logrotate compressed it; raises OSError.

    The progress `shown` advances by the bytes that are read of the file.
    """
    packed = file.suffix == ".gz"
    with cast("BinaryIO", gzip.open(file)) if packed else file.open("rb") as opened_file:
        while line := opened_file.readline(LONGEST_LINE_BYTES):
            yield line
            if not packed:
                shown.advance(len(line))
    if packed:
        shown.advance(file.stat().st_size)
