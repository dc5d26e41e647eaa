"""`tenantgate dev`: one process, from checking its options to the last request."""

import asyncio
import json as json_text
import logging
import os
import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

from server.configuration import settings_variables
from server.dev.announcement import announcement
from server.dev.folder import data_folder
from server.dev.own_database import OwnDatabase
from server.dev.requests import RequestLines, Shown
from server.dev.sample import TIERS
from server.dev.stack import Stack, development_stack
from server.documents.upload.check import check_folder
from server.documents.upload.labels import LabelRules
from server.errors import SettingsError
from server.logs import configure_logs
from server.progress import progress
from server.secret_files import FOLDER_VARIABLE
from server.settings import CONFIG_VARIABLE
from server.terminal import put, screen, width_of


def run_development(
    *, json: bool, port: int, documents: Path | None, folder: Path | None, own: OwnDatabase | None = None
) -> None:
    """Run a stack until SIGINT or SIGTERM; raise StartupError when it cannot start."""
    _refuse_beside_production(documents)
    _warn_about(documents)
    place = data_folder(folder)
    log = place / "server.log"
    people: dict[str, str] = {}
    console = screen()
    lines = RequestLines(console, people, lambda: width_of(console))

    def show(request: Shown) -> None:
        # When the terminal is closed, requests continue.
        with suppress(OSError):
            if not json:
                _write(lines.line(request))

    configure_logs(logging.INFO, log)
    # From here on a signal stops the process in order, even while it is still starting.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as running:
            with progress("starting") as steps:
                stack = running.enter_context(development_stack(place, port, documents, steps.step, own, show))
            shown = stack.addresses
            people |= {one["sub"]: one["name"] for one in shown.people}
            ready = json_text.dumps(asdict(shown)) if json else announcement(shown, place, log)
            with asyncio.Runner(loop_factory=stack.loop_factory) as runner:
                runner.run(_serve(stack, ready if json else f"{ready}\n{lines.heading()}"))
    except KeyboardInterrupt:
        pass
    if not json:
        _write("Stopped; every process has ended.")


def _refuse_beside_production(documents: Path | None) -> None:
    """Raise SettingsError when real settings are present: development's identity provider signs in anyone as anyone."""
    if found := [name for name in (CONFIG_VARIABLE, FOLDER_VARIABLE, *settings_variables()) if name in os.environ]:
        raise SettingsError(f"`tenantgate dev` uses only its own settings; unset {', '.join(found)}")
    if documents is not None and not documents.is_dir():
        raise SettingsError(f"the documents folder {documents} does not exist; name an existing one with --documents")


def _warn_about(documents: Path | None) -> None:
    """Warn about mistakes in a developer's folder: it is served in any case, but some documents cannot be found."""
    if documents is not None:
        for finding in check_folder(documents, LabelRules(tiers=TIERS)).findings:
            put(screen(errors=True), ("warning: ", "yellow"), f"{finding.path} {finding.message}")


async def _serve(stack: Stack, ready: str) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stack.stop)
    await stack.run(lambda: _write(ready))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
