"""A tenant's extract: its records, with proofs that they are all of its records, and nothing of other tenants.

A file of JSON lines. The first names the tenant. Each part of a chain (an epoch) follows: a line for each checkpoint
that covers records of the tenant, with these records and their Merkle proofs, then a line with the last checkpoint
and the proof of how many records the tenant has in the epoch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from server.audit import merkle
from server.audit.chain import lines, opened
from server.audit.checkpoint import read_statement
from server.audit.files import size_of
from server.audit.keys import TrailSigner, public_keys
from server.audit.ledger import Ledger
from server.audit.secrets import Secrets
from server.audit.verify import chains
from server.errors import StartupError
from server.progress import SILENT, Progress

FORMAT: Final = 1


def extract(path: Path, key: TrailSigner, tenant: str, shown: Progress = SILENT) -> Iterator[str]:
    """Yield the lines of the extract; raise StartupError when the trail does not verify or another key signed it.

    `shown` is the progress.
    """
    shown.step(f"reading the audit trail: {path.name}", size_of(path))
    secrets = Secrets(key)
    yield _line({"tenantgate_extract": FORMAT, "tenant": tenant, "grant": secrets.grant(tenant).hex()})
    found = False
    for _, chain, files in chains(path):
        found = True
        yield from _OfChain(chain, files, key, secrets, tenant).lines(shown)
    if not found:
        raise StartupError(f"no audit trail exists at {path}; pass the file that audit.path names")


@dataclass(slots=True)
class _Epoch:
    """The last checkpoint of an epoch, and the tenant's records until then."""

    checkpoint: bytes = b""
    # The lines since the last checkpoint.
    pending: list[bytes] = field(default_factory=list[bytes])


class _OfChain:
    """Reads one chain and repeats the computations of the server that wrote it."""

    def __init__(self, chain: str, files: Sequence[Path], key: TrailSigner, secrets: Secrets, tenant: str) -> None:
        self._chain: Final = chain
        self._files: Final = files
        self._keys: Final = public_keys([key.public_text()])
        self._secret: Final = secrets.of(tenant)
        self._tenant: Final = tenant
        self._ledger: Final = Ledger(secrets)
        self._epoch = _Epoch()

    def lines(self, shown: Progress) -> Iterator[str]:
        for file in self._files:
            for place, line in enumerate(lines(file, shown), 1):
                record = opened(line)
                if record is None:
                    raise StartupError(f"{file}: line {place} does not verify; run `tenantgate audit verify`")
                if record.get("event") == "begin":
                    yield from self._end()
                    self._ledger.begin(self._chain, record["number"])
                    self._epoch = _Epoch()
                if record.get("event") == "checkpoint":
                    yield from self._checkpoint(line, record, f"{file}: line {place}")
                self._epoch.pending.append(line)
                self._ledger.add(record["number"], record["hash"], record.get("tenant"))
        yield from self._end()

    def _checkpoint(self, line: bytes, record: dict[str, Any], where: str) -> Iterator[str]:
        ledger, epoch = self._ledger, self._epoch
        try:
            statement = read_statement(record.get("statement"), self._keys)
        except ValueError as error:
            raise StartupError(f"{where}: {error}; set the key that signed it as audit.signing_key") from None
        tree = merkle.levels(ledger.leaves())
        if ledger.commit().hex() != statement.root or ledger.table.root().hex() != statement.tenants:
            raise StartupError(
                f"{where}: the checkpoint does not match the records before it; run `tenantgate audit verify`"
            )
        own = [at for at, (_, _, tenant) in enumerate(ledger.pending) if tenant == self._tenant]
        if own:
            proved = [
                {
                    "line": epoch.pending[at].decode(),
                    "place": at,
                    "proof": [one.hex() for one in merkle.proof(tree, at)],
                }
                for at in own
            ]
            yield _line({"checkpoint": line.decode(), "records": proved})
        ledger.signed()
        epoch.checkpoint, epoch.pending = line, []

    def _end(self) -> Iterator[str]:
        """End an epoch: records that are not signed yet go into a later extract."""
        if self._epoch.checkpoint:
            proof = self._ledger.table.prove(self._secret.place(self._chain, self._ledger.epoch))
            shown = {
                "siblings": [one.hex() for one in proof.siblings],
                "key": proof.key.hex() if proof.key else None,
                "value": proof.value.hex() if proof.value else None,
            }
            count = self._ledger.counts.get(self._tenant, 0)
            yield _line({"epoch": self._epoch.checkpoint.decode(), "count": count, "proof": shown})


def _line(item: dict[str, Any]) -> str:
    return json.dumps(item, separators=(",", ":")) + "\n"
