"""Verify a tenant's extract with only the public key: each record is genuine, and none is missing."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from server.audit import merkle
from server.audit.chain import opened
from server.audit.checkpoint import CheckpointStatement, read_statement
from server.audit.extract import FORMAT
from server.audit.keys import PublicKeys
from server.audit.secrets import TenantSecret
from server.audit.table import from_text, root_of
from server.errors import StartupError

# In addition to the records after which a checkpoint is due.
_OWN_RECORDS: Final = 2


@dataclass(slots=True)
class CheckedExtract:
    """What an extract proves: the tenant's records of each chain, from the first to the last record that is signed.

    `reached` has these two numbers by the name of the chain; `until` is the time of the last checkpoint.
    """

    tenant: str
    records: int = 0
    until: float = 0.0
    reached: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])


def check_extract(lines: Iterable[str], keys: PublicKeys) -> CheckedExtract:
    """Return what the extract proves; raise StartupError with the line and the reason when it does not verify."""
    check: _Check | None = None
    number = 0
    try:
        for line in lines:
            number += 1  # an error names it
            item: Any = json.loads(line)
            if check is None:
                check = _Check(item, keys)
            elif "checkpoint" in item:
                check.checkpoint(item)
            else:
                check.epoch(item)
        if check is None:
            raise ValueError("the file is empty")  # noqa: TRY301
        return check.finished()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) if type(error) is ValueError else "the line is not part of an extract"
        raise StartupError(
            f"the extract does not verify at line {number}: {reason}; ask the server's operator for a new one"
        ) from None


class _Check:
    def __init__(self, header: dict[str, Any], keys: PublicKeys) -> None:
        if header["tenantgate_extract"] != FORMAT:
            raise ValueError("the format is that of another version")
        self._keys: Final = keys
        self._result: Final = CheckedExtract(str(header["tenant"]))
        self._secret: Final = TenantSecret.of_grant(self._result.tenant, merkle.unhex(header["grant"]), keys)
        # The numbers of the records proved since the last epoch, and their chain and epoch.
        self._proved: set[int] = set()
        self._of: set[tuple[str, int]] = set()
        self._last: dict[str, tuple[str, int, str]] = {}
        self._others: dict[str, int] = {}

    def checkpoint(self, item: dict[str, Any]) -> None:
        """Add the tenant's records that one checkpoint covers."""
        _, statement = self._statement(item["checkpoint"])
        size = statement.last - statement.first + 1
        for one in item["records"]:
            record = opened(one["line"].encode())
            if record is None or record.get("tenant") != self._result.tenant:
                raise ValueError("a record was changed")
            leaf = self._secret.leaf(record["number"], record["hash"])
            siblings = [merkle.unhex(sibling) for sibling in cast("list[str]", one["proof"])]
            root = merkle.proved_root(leaf, one["place"], size, siblings)
            if root is None or root.hex() != statement.root or record["number"] != statement.first + one["place"]:
                raise ValueError(f"record {record['number']} is not among those that the checkpoint signs")
            self._proved.add(record["number"])
        self._of.add((statement.chain, statement.epoch))

    def epoch(self, item: dict[str, Any]) -> None:
        """End an epoch: the number of proved records must be the number in its last checkpoint."""
        record, statement = self._statement(item["epoch"])
        proof = from_text(**item["proof"])
        place = self._secret.place(statement.chain, statement.epoch)
        root = root_of(place, proof)
        if root is None or root.hex() != statement.tenants:
            raise ValueError("the number of records is not the signed one")
        count = item["count"] if proof.key == place else 0
        if proof.key == place and proof.value != self._secret.entry(count):
            raise ValueError("the number of records is not the signed one")
        if len(self._proved) != count or self._of - {(statement.chain, statement.epoch)}:
            raise ValueError(f"{count} records are signed, but the extract has {len(self._proved)}")
        self._follow(record, statement)
        self._result.records += count
        self._proved, self._of = set(), set()

    def finished(self) -> CheckedExtract:
        """Return what was proved, once every chain that the checkpoints name was read."""
        if self._proved or not self._last:
            raise ValueError("the last part has no closing checkpoint")
        for name, number in self._others.items():
            _, last = self._result.reached.get(name, (0, -1))
            if last < 0 or last + self._every + _OWN_RECORDS < number:
                raise ValueError(f"the chain {name} is missing, or ends before record {number}")
        return self._result

    def _follow(self, record: dict[str, Any], statement: CheckpointStatement) -> None:
        """Require that this epoch begins where the previous epoch of the same chain ends."""
        chain, number, digest = self._last.get(statement.name, ("", statement.epoch - 1, statement.before))
        if chain not in {"", statement.chain}:
            number, digest = statement.epoch - 1, statement.before
        if (number, digest) != (statement.epoch - 1, statement.before):
            raise ValueError(f"the records before {statement.epoch} of {statement.name} are missing")
        first, _ = self._result.reached.get(statement.name, (statement.epoch, 0))
        self._result.reached[statement.name] = (first, record["number"])
        self._result.until = max(self._result.until, statement.time)
        self._last[statement.name] = (statement.chain, record["number"], record["hash"])
        self._others.update(statement.others)
        self._every = statement.every

    def _statement(self, line: str) -> tuple[dict[str, Any], CheckpointStatement]:
        record = opened(line.encode())
        if record is None:
            raise ValueError("a checkpoint was changed")
        statement = read_statement(record.get("statement"), self._keys)
        if (record["number"], record["previous"]) != (statement.last + 1, statement.hash):
            raise ValueError("a checkpoint is not the signed one")
        return record, statement
