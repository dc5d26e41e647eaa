"""The output of `tenantgate documents`: tables for a person, one JSON document for a program."""

import json as json_text
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from server.cli.table import print_table
from server.documents.upload.check import CheckedFolder
from server.documents.upload.sync import Synced


def print_findings(checked: CheckedFolder, folder: Path, *, json: bool) -> None:
    """Print every mistake; `{"documents": N, "findings": [{"path", "kind", "message"}]}` as JSON."""
    if json:
        _print_json({"documents": len(checked.documents), "findings": [asdict(one) for one in checked.findings]})
        return
    if checked.findings:
        _table("what is wrong", [(one.path, one.kind, one.message) for one in checked.findings])
    typer.echo(f"{len(checked.documents)} documents in {folder}, {len(checked.findings)} findings")


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
        _table("what failed", failed)
    if synced.leftover:
        typer.echo(f"{len(synced.leftover)} documents in the bucket are not in the folder; --delete removes them")
    status = ingestion.status.lower() if ingestion else "not started"
    counts = f"{len(synced.uploaded)} uploaded, {len(synced.unchanged)} unchanged, {len(synced.deleted)} deleted"
    typer.echo(f"{counts}, {len(failed)} failed; ingestion {status}")


def _table(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    # Names and labels come from files: what cannot be printed is shown as its code.
    shown = [[cell if cell.isprintable() else ascii(cell)[1:-1] for cell in row] for row in rows]
    print_table(("document", "kind", title), shown)


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json_text.dumps(document) + "\n")
