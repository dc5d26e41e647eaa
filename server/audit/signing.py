"""Sign one chain: keep its ledger, and write its checkpoints into it."""

import time
from pathlib import Path
from typing import Final

import structlog

from server.audit.chain import lines, opened
from server.audit.checkpoint import CheckpointStatement
from server.audit.files import worker_paths
from server.audit.head import read_head
from server.audit.keys import TrailSigner
from server.audit.ledger import Ledger
from server.audit.rules import TrailRules
from server.audit.secrets import Secrets
from server.audit.writer import Writer
from server.errors import StartupError

_log: Final = structlog.get_logger("audit")


class Signing:
    """Writes checkpoints for the records of a Writer; the caller reports each record with `add`."""

    def __init__(self, key: TrailSigner, writer: Writer, path: Path, rules: TrailRules) -> None:
        """Sign with `key`; `path` is the setting, which gives the names of other workers' chains."""
        self._key: Final = key
        self._writer: Final = writer
        self._path: Final = path
        self._rules: Final = rules
        self._ledger: Final = Ledger(Secrets(key))
        self._before = writer.digest
        # The number of the last checkpoint that this process wrote.
        self._signed = 0

    def reload(self) -> int:
        """Read the part of the file that an earlier process left; return how many of its records are unsigned.

        Raises StartupError where the chain does not verify: a new signature must not hide that.
        """
        if not self._writer.resumed:
            return 0
        previous, unsigned = "", 0
        for place, line in enumerate(lines(self._writer.live), 1):
            record = opened(line)
            if record is None or (previous and record["previous"] != previous):
                raise StartupError(
                    f"the audit trail {self._writer.live} does not verify at line {place}; move it to a safe place "
                    "and start again"
                )
            previous = record["hash"]
            event = record.get("event")
            if event == "begin":
                self._ledger.begin(self._writer.chain, record["number"])
                self._before, unsigned = record["previous"], 0
            if event == "checkpoint":
                self._ledger.commit()
                self._ledger.signed()
                unsigned = -1
            self._ledger.add(record["number"], record["hash"], record.get("tenant"))
            unsigned += 1
        return unsigned

    def begin(self, before: str) -> None:
        """Begin an epoch with the `begin` record that was just written after the record with the hash `before`."""
        self._before = before
        self._ledger.begin(self._writer.chain, self._writer.number)
        self.add(None)

    def add(self, tenant: str | None) -> None:
        """Add the record that was just written."""
        self._ledger.add(self._writer.number, self._writer.digest, tenant)

    def write_checkpoint(self) -> None:
        """Sign everything up to here in a record, unless the last record is such a one; raises OSError."""
        writer, ledger = self._writer, self._ledger
        if writer.number == self._signed:
            # While the disk fails, each request asks for a checkpoint.
            return
        root = ledger.commit()
        statement = CheckpointStatement(
            chain=writer.chain,
            name=writer.live.name,
            epoch=ledger.epoch,
            before=self._before,
            first=ledger.pending[0][0],
            last=writer.number,
            hash=writer.digest,
            root=root.hex(),
            tenants=ledger.table.root().hex(),
            every=self._rules.checkpoint_records,
            time=round(time.time(), 3),
            others=self._others(),
        )
        writer.write({"event": "checkpoint", "statement": statement.signed(self._key)})
        self._signed = writer.number
        ledger.signed()
        self.add(None)
        if self._rules.announced:
            # A log that is shipped elsewhere is a witness of the trail.
            _log.info("audit checkpoint", name=statement.name, number=statement.last, hash=statement.hash)

    def _others(self) -> dict[str, int]:
        """Return the last numbers of the other workers' chains, so that none of them can disappear unnoticed."""
        found: dict[str, int] = {}
        for live in worker_paths(self._path):
            head = read_head(live)
            if head is None or not head.chain:
                break
            if live != self._writer.live:
                found[live.name] = head.number
        return found
