"""Check the files of one chain, from its first record to its first break."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from server.audit.chain import FIRST, lines, opened
from server.audit.checkpoint import CheckpointStatement, read_statement
from server.audit.head import HeadLine
from server.audit.keys import PublicKeys
from server.progress import SILENT, Progress

# In addition to the records after which a checkpoint is due: the previous checkpoint, and a `begin`.
_OWN_RECORDS: Final = 2


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not verify; `line` counts from 1, `kind` is one word for a program."""

    file: Path
    line: int
    kind: str
    problem: str


@dataclass(slots=True)
class Walked:
    """The valid part of one chain, up to its break if it has one; its last `unsigned` records wait for a checkpoint.

    `others` has the last numbers of other workers' chains, from its checkpoints.
    """

    name: str
    chain: str
    files: int = 0
    records: int = 0
    last: int = 0
    checkpoints: int = 0
    unsigned: int = 0
    broken: Break | None = None
    others: dict[str, int] = field(default_factory=dict[str, int])


class Walk:
    """Checks each record against the one before it, and the signatures where there are `keys`."""

    def __init__(self, name: str, files: Sequence[Path], keys: PublicKeys | None, head: HeadLine | None) -> None:
        """Check `files`; `head` says what the chain must at least hold."""
        begin = opened(next(lines(files[0]), b"")) or {}
        self._files: Final = files
        self._keys: Final = keys
        self._head: Final = head
        self._result: Final = Walked(name, str(begin.get("chain", "")))
        self._previous = FIRST
        self._signed = self._every = 0
        # Whether the previous record began a part, which its server signs at once.
        self._begun = False

    def run(self, *, archived: bool, shown: Progress = SILENT) -> Walked:
        """Return the valid part; `archived` files may lack what was before and after them; `shown` is the progress."""
        result = self._result
        for file in self._files:
            result.files += 1
            place = 0
            for place, line in enumerate(lines(file, shown), 1):
                record = opened(line)
                first = place == 1
                if record is not None and first and archived and not result.last:
                    self._previous, result.last = record["previous"], record["number"] - 1
                    self._signed = result.last
                if (problem := self._problem(record, first=first)) is not None or record is None:
                    kind, text = problem or ("edited", "")
                    if kind == "removed" and self._stands_later(file, place):
                        kind, text = "reordered", "the records are not in the order in which they were written"
                    result.broken = Break(file, place, kind, text)
                    return result
                self._previous, result.last = record["hash"], record["number"]
                result.records += 1
            if file == self._files[-1]:
                result.broken = self._end(file, place, archived=archived)
        return result

    def _problem(self, record: dict[str, Any] | None, *, first: bool) -> tuple[str, str] | None:
        """Return the kind and the description of the problem of a record, given those before it."""
        last = self._result.last
        if record is None:
            return "edited", "the record was changed or is incomplete"
        number = record["number"]
        if number > last + 1:
            missing = f"records {last + 1} to {number - 1} are missing"
            if first:
                return "missing", f"{missing}: a file before this one was deleted or moved elsewhere"
            return "removed", missing
        if number <= last:
            return "added", "the record was added, repeated or moved"
        head = self._head
        named = head is None or head.number != number or head.digest == record["hash"]
        if record["previous"] != self._previous or not named:
            whose = "the one before it" if named else "FILE.head, which names another record with its number"
            return "rewritten", f"the record does not match {whose}"
        return None if self._keys is None else self._unsigned(record, self._keys)

    def _unsigned(self, record: dict[str, Any], keys: PublicKeys) -> tuple[str, str] | None:
        """Return the problem of the signatures at this record, or None."""
        result, begun = self._result, self._begun
        self._begun = record.get("event") == "begin"
        if record.get("event") != "checkpoint":
            return ("unsigned", "the checkpoint that must follow a `begin` record is missing") if begun else None
        try:
            statement = read_statement(record.get("statement"), keys)
        except ValueError as error:
            return "forged", str(error)
        if (statement.chain, statement.name) != (result.chain, result.name):
            return "forged", "the checkpoint belongs to another chain"
        if (statement.last, statement.hash) != (result.last, self._previous):
            return "forged", "the records before this checkpoint are not those that were signed"
        if result.last - self._signed > statement.every + _OWN_RECORDS:
            return "unsigned", "the checkpoint signs more records than audit.checkpoint_records allows"
        self._take(statement)
        return None

    def _take(self, statement: CheckpointStatement) -> None:
        self._signed, self._every = statement.last + 1, statement.every
        self._result.checkpoints += 1
        self._result.others.update(statement.others)

    def _end(self, file: Path, place: int, *, archived: bool) -> Break | None:
        """Return the problem at the end of the chain, or None."""
        result = self._result
        if not archived and self._head is None:
            return Break(
                file, place, "head", "FILE.head of these records is missing; for archived files pass --archived"
            )
        if self._head is not None and result.last < self._head.number:
            return Break(file, place + 1, "cut", f"records {result.last + 1} to {self._head.number} were cut off")
        if self._keys is not None:
            result.unsigned = result.last - self._signed
            if not result.checkpoints or result.unsigned > self._every + _OWN_RECORDS:
                return Break(file, place, "unsigned", "the records at the end are not signed")
        return None

    def _stands_later(self, file: Path, place: int) -> bool:
        """Whether the record expected at `place` is further down in the file."""
        wanted = self._result.last + 1
        later = (opened(line) for at, line in enumerate(lines(file), 1) if at > place)
        return any(record is not None and record["number"] == wanted for record in later)
