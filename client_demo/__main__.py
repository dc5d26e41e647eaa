"""`python -m client_demo`: six people, the same questions, different answers, and nobody sees another's data."""

import importlib
import json
import logging
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from client_demo.errors import DemoError
from client_demo.scenario import ATTEMPTS, PEOPLE, QUESTIONS
from client_demo.server_process import FOLDER_VARIABLE, dev_server, running_address, tokens_of

_DEFAULT_FOLDER: Final = Path(".tenantgate")
_PRIVATE_FOLDER: Final = _DEFAULT_FOLDER / "demo"


def main(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answers as one JSON list and nothing else.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Data folder of the development server.")] = None,
    mcp_url: Annotated[str | None, typer.Option(help="Ask this server; its dev issues the tokens.")] = None,
) -> None:
    """Ask as six people and compare every answer with what it must be; exit code 1 if one differs."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    # A refusal is an expected answer here; the libraries would log it with a traceback.
    logging.getLogger("strands").setLevel(logging.CRITICAL)
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    try:
        code = _demonstrate(folder, mcp_url, as_json=as_json)
    except DemoError as error:
        typer.echo(f"The demo stopped: {error}", err=True)
        code = 1
    except ModuleNotFoundError as error:
        remedy = "run `make demo`, or install the extras: pip install '.[dev,agent]'"
        typer.echo(f"The demo stopped: {error.name} is not installed; {remedy}.", err=True)
        code = 1
    raise typer.Exit(code)


def _demonstrate(folder: Path | None, mcp_url: str | None, *, as_json: bool) -> int:
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    with _progress(notes) as progress, _server(folder, mcp_url) as (address, place):
        from client_demo.demo import differences, run
        from client_demo.models import choose_model, model_label
        from client_demo.report import print_answers, print_attempts, print_verdict

        label = model_label(choose_model())
        progress("Fetching access tokens ...")
        tokens = tokens_of(PEOPLE, place)
        answers = list(run(QUESTIONS, tokens, address, progress))
        attempts = list(run(ATTEMPTS, tokens, address, progress))
    everything = [*answers, *attempts]
    found = differences(everything)
    if as_json:
        typer.echo(json.dumps([answered.as_row() for answered in everything], indent=2, ensure_ascii=False))
    else:
        screen.print(f"Answers by: {label}")
        print_answers(screen, answers)
        print_attempts(screen, attempts)
    print_verdict(notes if as_json else screen, found, len(everything))
    return 1 if found else 0


@contextmanager
def _server(folder: Path | None, mcp_url: str | None) -> Generator[tuple[str, Path]]:
    """Yield the MCP address and the folder of the `dev` that issues its tokens; stop what was started here."""
    chosen = folder or (Path(os.environ[FOLDER_VARIABLE]) if os.environ.get(FOLDER_VARIABLE) else None)
    place = chosen or _DEFAULT_FOLDER
    if address := mcp_url or running_address(place, PEOPLE[0]):
        yield address, place
        return
    # A folder separate from the developer's own, whose data may differ from the sample.
    private = chosen or _PRIVATE_FOLDER
    with dev_server(private) as server:
        # Strands takes a second to load, and the server a few to start: do both at once.
        importlib.import_module("client_demo.demo")
        yield server.wait_until_ready(), private


@contextmanager
def _progress(notes: Console) -> Generator[Callable[[str], None]]:
    """Yield a function that shows progress on a terminal; it shows nothing through a pipe."""
    if not notes.is_terminal:
        yield lambda _: None
        return
    with notes.status("Starting the server ...") as status:
        # Questions may hold square brackets, which are not markup.
        yield lambda text: status.update(escape(text))


def _leave(number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an orderly exit, so that the server is stopped too."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    typer.run(main)
