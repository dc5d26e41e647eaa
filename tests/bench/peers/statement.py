"""The very statement that the server sends for a first page, and contexts that the database accepts for it."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from processes import PEOPLE

from server.database.context_keys import ContextKey, parse_context_key

# Of the context's lifetime of a minute.
_LIFETIME_S = 55


@dataclass(frozen=True)
class Signed:
    """The statement's text with its placeholders `$1` (rows and one more) and `$2` (the context)."""

    text: str
    digest: str
    first_value: int
    key: str
    issuer: str

    def contexts(self) -> list[str]:
        """Return a fresh context of each tenant that calls."""
        key = parse_context_key(self.key)
        return [self.context(key, f"tenant-{number + 1}") for number in range(PEOPLE)]

    def context(self, key: ContextKey, tenant: str) -> str:
        """Return a context of `tenant`, signed with `key`."""
        return key.sign(
            person=(self.issuer, "bench"),
            tenant=tenant,
            tier="",
            expiry_s=int(time.time()) + _LIFETIME_S,
            digest=self.digest,
        )

    def write(self, file: Path) -> None:
        """Keep it for a process of its own."""
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self)))


def read_signed(file: Path) -> Signed:
    """Return what `write` kept."""
    return Signed(**json.loads(file.read_text()))
