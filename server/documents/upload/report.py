"""The output of `tenantgate documents`: tables for a person, one JSON document for a program."""

import json as json_text
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.documents.upload.check import CheckedFolder
from server.documents.upload.sync import Synced

_OUT: Final = Console(soft_wrap=True)


def print_findings(checked: CheckedFolder, folder: Path, *, json: bool) -> None:
    """Print every mistake; `{"documents": N, "findings": [{"path", "kind", "message"}]}` as JSON."""
    if json:
        _print_json({"documents": len(checked.documents), "findings": [asdict(one) for one in checked.findings]})
        return
    if checked.findings:
        _OUT.print(_table("what is wrong", [(one.path, one.kind, one.message) for one in checked.findings]))
    _OUT.print(f"{len(checked.documents)} documents in {folder}, {len(checked.findings)} findings", markup=False)


def print_synced(synced: Synced, *, json: bool) -> None:
    """Print the outcome of each document; as JSON, the fields of Synced and `is_whole`."""
    if json:
        _print_json({**asdict(synced), "is_whole": synced.is_whole})
        return
    failed = [(name, "upload", reason) for name, reason in synced.failed.items()]
    if (ingestion := synced.ingestion) is not None:
        failed += [(name, "ingestion", reason) for name, reason in ingestion.failed.items()]
        failed += [("(all)", "ingestion", reason) for reason in ingestion.reasons]
    if failed:
        _OUT.print(_table("what failed", failed))
    if synced.leftover:
        _OUT.print(f"{len(synced.leftover)} documents in the bucket are not in the folder; --delete removes them")
    status = ingestion.status.lower() if ingestion else "not started"
    counts = f"{len(synced.uploaded)} uploaded, {len(synced.unchanged)} unchanged, {len(synced.deleted)} deleted"
    _OUT.print(f"{counts}, {len(failed)} failed; ingestion {status}")


def _table(title: str, rows: list[tuple[str, str, str]]) -> Table:
    table = Table()
    for heading in ("document", "kind", title):
        # A name that is cut short is useless.
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Names and labels come from files: they are data, not markup.
        table.add_row(*(Text(ascii(cell)[1:-1] if not cell.isprintable() else cell) for cell in row))
    return table


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json_text.dumps(document) + "\n")
