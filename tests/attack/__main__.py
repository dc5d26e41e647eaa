"""Attack a development server, and for each tool a server with a hole; print one table.

Exit code 0 when nothing was found on the server and every hole was; an attack whose tool is missing does not pass.
"""

import argparse
import dataclasses
import logging
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from support.listening import stack_running

from attack import injection, mutations, slowness, tokens, values
from attack.outcome import Attack, Row, carried_out, show
from attack.target import Target, attacked
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.sample import SAMPLE_DOCUMENTS
from server.dev.stack import development_stack
from server.logs import configure_logs

ATTACKS: Final = {
    one.name: one for one in (injection.ATTACK, slowness.ATTACK, values.ATTACK, tokens.ATTACK, mutations.ATTACK)
}
_SEED: Final = 20_261_126


def main() -> int:
    """Run what is asked for, print, and return the exit code."""
    arguments = argparse.ArgumentParser(prog="make attack", description=__doc__)
    arguments.add_argument("--only", choices=ATTACKS, action="append", help="one attack; may be repeated")
    arguments.add_argument("--seed", type=int, default=_SEED, help="of the mutations and of schemathesis")
    arguments.add_argument("--mutations", type=int, default=mutations.COUNT, help="how many")
    arguments.add_argument("--allow-missing", action="store_true", help="pass although a tool is not installed")
    wanted = arguments.parse_args()
    console = Console(width=160)
    console.print(f"seed {wanted.seed}", highlight=False)
    with _target() as target:
        rows: list[Row] = []
        for name in wanted.only or ATTACKS:
            console.print(f"{name} ...")
            rows.append(carried_out(_with_options(name, wanted), target))
    show(rows, console)
    return 0 if all(row.is_passed or (row.missing and wanted.allow_missing) for row in rows) else 1


def _with_options(name: str, wanted: argparse.Namespace) -> Attack:
    attack = ATTACKS[name]
    match name:
        case "mutations":
            return dataclasses.replace(attack, run=partial(mutations.attack, count=wanted.mutations, seed=wanted.seed))
        case "schemathesis":
            return dataclasses.replace(attack, run=partial(values.attack, seed=wanted.seed))
        case _:
            return attack


@contextmanager
def _target() -> Generator[Target]:
    """Start everything that `tenantgate dev` has, in this process; the attackers are processes of their own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # PostgreSQL runs as another account where this one is root.
        folder.chmod(0o711)
        log = folder / "server.log"
        configure_logs(logging.INFO, log)
        (folder / "development").mkdir(mode=0o711)
        with (
            development_stack(folder / "development", 0, SAMPLE_DOCUMENTS) as stack,
            stack_running(stack),
            attacked(stack, folder, lambda: log.read_text(encoding="utf-8", errors="replace")) as target,
        ):
            yield target
        EmbeddedPostgres(folder / "development" / "postgres").remove()


if __name__ == "__main__":
    sys.exit(main())
