"""What `tenantgate dev` shows a person: progress, addresses, people, and recipes to copy."""

import asyncio
import json as json_text
import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.configuration import settings_variables
from server.dev.folder import data_folder
from server.dev.own_database import OwnDatabase
from server.dev.running import Addresses
from server.dev.sample import TIERS
from server.dev.stack import Stack, development_stack
from server.documents.upload.check import check_folder
from server.documents.upload.labels import Rules
from server.errors import SettingsError
from server.logs import configure_logs
from server.secret_files import FOLDER_VARIABLE
from server.settings import CONFIG_VARIABLE

_OUT: Final = Console(soft_wrap=True)
_PROGRESS: Final = Console(stderr=True)


def run_development(
    *, json: bool, port: int, documents: Path | None, folder: Path | None, own: OwnDatabase | None = None
) -> None:
    """Run a stack until SIGINT or SIGTERM; raise StartupError when it cannot start."""
    _refuse_beside_production(documents)
    _warn_about(documents)
    place = data_folder(folder)
    log = place / "server.log"
    configure_logs(logging.INFO, log)
    # From here on a signal ends the process in order, also while it is still starting.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _PROGRESS.status("starting") as status:
            stack = development_stack(place, port, documents, status.update, own)
            with stack as prepared:
                status.stop()
                with asyncio.Runner(loop_factory=prepared.loop_factory) as runner:
                    runner.run(_serve(prepared, json=json, log=log))
    except KeyboardInterrupt:
        pass
    if not json:
        _OUT.print("Stopped; nothing is left running.")


def _refuse_beside_production(documents: Path | None) -> None:
    """Raise SettingsError where real settings are in force: its identity provider signs in anyone as anyone."""
    if found := [name for name in (CONFIG_VARIABLE, FOLDER_VARIABLE, *settings_variables()) if name in os.environ]:
        raise SettingsError(f"development makes its own settings and runs beside no others; unset {', '.join(found)}")
    if documents is not None and not documents.is_dir():
        raise SettingsError(f"the documents folder {documents} does not exist; name an existing one with --documents")


def _warn_about(documents: Path | None) -> None:
    """Tell what is wrong with a folder of somebody's own: it is served all the same, but some of it to nobody."""
    if documents is not None:
        for finding in check_folder(documents, Rules(tiers=TIERS)).findings:
            _PROGRESS.print(Text(f"warning: {finding.path} {finding.message}"), soft_wrap=True)


async def _serve(stack: Stack, *, json: bool, log: Path) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stack.stop)
    await stack.run(lambda: _announce(stack.addresses, json=json, log=log))


def _announce(addresses: Addresses, *, json: bool, log: Path) -> None:
    if json:
        sys.stdout.write(json_text.dumps(asdict(addresses)) + "\n")
        sys.stdout.flush()
        return
    where = Table(title="tenantgate dev", title_justify="left", show_header=False)
    where.add_row("MCP server", addresses.mcp_url)
    where.add_row("Identity provider", addresses.issuer)
    if addresses.knowledge_base_url:
        where.add_row("Knowledge base", addresses.knowledge_base_url)
    where.add_row("Database (app_user)", addresses.database_url)
    where.add_row("Log", str(log))
    people = Table(title="People who can sign in", title_justify="left")
    for column in ("person", "tenant", "groups"):
        people.add_column(column)
    for person in addresses.people:
        people.add_row(person["name"], person["tenant"] or "(none)", ", ".join(person["groups"]) or "(none)")
    _OUT.print(where, people, sep="\n")
    if addresses.people:
        _OUT.print("Try it from another terminal, in this folder:")
        _OUT.print(_recipe(addresses), markup=False, highlight=False)
    _OUT.print("Ctrl-C stops everything.")


def _recipe(addresses: Addresses) -> str:
    # Of somebody in a tenant, where there is one.
    name = max(addresses.people, key=lambda one: one["tenant"] is not None)["name"]
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'
    return (
        f'  curl -s {addresses.mcp_url} -H "Authorization: Bearer $(tenantgate token {name})" \\\n'
        "    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n"
        f"    -d '{call}'\n"
    )
