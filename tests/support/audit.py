"""Trails for tests: signed, filled, and looked at."""

import json
import secrets
from pathlib import Path
from typing import Any

from server.audit.chain import sealed
from server.audit.keys import SigningKey, public_keys
from server.audit.rules import TrailRules
from server.audit.trail import AuditTrail
from server.audit.verify import verify

KEY = SigningKey(secrets.token_bytes(32))
PUBLIC = public_keys([KEY.public_text()])


def signed_trail(path: Path, **rules: Any) -> AuditTrail:
    return AuditTrail(path, KEY, TrailRules(**rules))


def fill(trail: AuditTrail, count: int, tenant: str = "acme") -> None:
    for number in range(count):
        trail.append({"tenant": tenant, "subject": f"person-{number}"})


def breaks(path: Path, keys: Any = PUBLIC) -> list[tuple[str, int, str]]:
    return [
        (one.broken.file.name, one.broken.line, one.broken.kind) for one in verify(path, keys) if one.broken is not None
    ]


def recorded(path: Path) -> list[dict[str, Any]]:
    """Return the records of requests, without what the trail says of itself."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [one for one in records if "event" not in one]


def forge(path: Path, change: Any) -> None:
    """Rewrite the file and its head as whoever may write both can: every hash is right again."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    previous = records[0]["previous"]
    lines: list[bytes] = []
    for number, record in enumerate(change(records), records[0]["number"]):
        entry = {"number": number} | {k: v for k, v in record.items() if k not in {"number", "previous", "hash"}}
        line, previous = sealed(entry, previous)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    head = path.with_name(path.name + ".head")
    chain = head.read_text().split()[2]
    head.write_text(f"{records[0]['number'] + len(lines) - 1:020d} {previous} {chain}\n")
