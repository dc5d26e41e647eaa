"""Run each recipe of docs/clients.md against a development server, and print what the server saw of it.

Exit code 1 when a client fails, lists other tools than the server has, gets another answer, or speaks another version.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from installed import CONSOLE, install, python, surroundings, version
from recipes import ADDRESS, HERE, RECIPES, Recipe, blocks
from rich.table import Table
from support.sample_pack import sample_offer
from witness import Seen, Witness, witness

from client_demo.server_process import dev_server, tokens_of

PERSON: Final = "mike-broker-a"
CLAIMS: Final = ("CLM-A-001", "CLM-A-002", "CLM-A-003")
_TIMEOUT_SECONDS: Final = 120


def command(language: str, text: str, environment: str | None) -> tuple[list[str], str]:
    """Return what to run, and what it reads."""
    match language:
        case "sh":
            return ["sh", "-euc", text], ""
        case "js":
            return ["node", "--input-type=module", "--eval", text], ""
        case "json":
            return [sys.executable, str(HERE / "through_a_program.py")], text
        case _:
            return [str(python(environment)), "-c", text], ""


def run(recipe: Recipe, block: tuple[str, str], relay: Witness, variables: dict[str, str]) -> str | None:
    """Run one recipe; return its last words when it fails."""
    language, text = block
    arguments, read = command(language, text.replace(ADDRESS, relay.url), recipe.environment)
    try:
        done = subprocess.run(
            arguments,
            input=read,
            env=variables,
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_TIMEOUT_SECONDS} s"
    said = (done.stderr or done.stdout).replace(variables["TOKEN"], "TOKEN")
    return said.strip()[-1_500:] if done.returncode else None


def problems(recipe: Recipe, listed: Seen | None, called: Seen | None) -> list[str]:
    """Return what the server did not see as it should."""
    found: list[str] = []
    names = [tool["name"] for tool in ((listed and listed.result) or {}).get("tools", [])]
    if sorted(names) != [tool.name for tool in sample_offer().tools]:
        found.append(f"the tools were listed as {names}")
    answer = str(called.result if called else None)
    if called is None or not all(number in answer for number in CLAIMS):
        found.append(f"the call was answered with {answer[:300]}")
    found += [f"it spoke {one.version}" for one in (listed, called) if one and one.version != recipe.speaks]
    return found


def main() -> int:
    """Run all recipes, or those that are named, and return the exit code."""
    named = set(sys.argv[1:])
    if unknown := named - {recipe.client for recipe in RECIPES}:
        sys.exit(f"There is no recipe {', '.join(unknown)}; there are {', '.join(one.client for one in RECIPES)}.")
    install()
    table = Table("client", "package", "version", "speaks", "tools listed", "call answered", title="Clients")
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o711)
        with dev_server(place / "development") as server, witness(server.wait_until_ready()) as relay:
            variables = surroundings(tokens_of([PERSON], place / "development")[PERSON], place)
            for recipe in (one for one in RECIPES if not named or one.client in named):
                relay.seen.clear()
                CONSOLE.print(f"{recipe.client} ...")
                last_words = run(recipe, blocks()[recipe.client], relay, variables)
                listed, called = relay.answered("tools/list"), relay.answered("tools/call")
                wrong = [last_words] if last_words else problems(recipe, listed, called)
                failures += [f"{recipe.client}: {one}" for one in wrong]
                spoke = called.version if called else None
                tools = len(listed.result["tools"]) if listed and listed.result else 0
                answered = "no" if wrong else "yes"
                table.add_row(recipe.client, recipe.package, version(recipe), spoke, str(tools), answered)
    CONSOLE.print(table)
    for failure in failures:
        CONSOLE.print(failure, markup=False, highlight=False, style="red")
    return 1 if failures else 0


sys.exit(main())
