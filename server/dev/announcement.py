"""What `tenantgate dev` prints when it is ready: all addresses, who can sign in, and a call to paste."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from server.dev.running import Addresses

_DEFAULT_FOLDER: Final = Path(".tenantgate")
_CALL: Final = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'


def announcement(addresses: Addresses, folder: Path, log: Path) -> str:
    """Return the whole text; no line is cut or wrapped, so that all of it can be copied."""
    return "\n".join([*_places(addresses, log), *_people(addresses), *_recipe(addresses, folder)])


def _places(addresses: Addresses, log: Path) -> Iterator[str]:
    yield "tenantgate dev"
    yield f"  MCP server           {addresses.mcp_url}"
    yield f"  Identity provider    {addresses.issuer}"
    if addresses.knowledge_base_url:
        yield f"  Knowledge base       {addresses.knowledge_base_url}"
    yield f"  Database (app_user)  {addresses.database_url}"
    yield f"  Log                  {log}"


def _people(addresses: Addresses) -> Iterator[str]:
    rows = [("person", "tenant", "groups")]
    rows += [(one["name"], one["tenant"] or "(none)", ", ".join(one["groups"]) or "(none)") for one in addresses.people]
    name, tenant = (max(len(row[place]) for row in rows) + 2 for place in (0, 1))
    if addresses.people:
        yield "\nPeople who can sign in"
        yield from (f"  {row[0]:<{name}}{row[1]:<{tenant}}{row[2]}" for row in rows)


def _recipe(addresses: Addresses, folder: Path) -> Iterator[str]:
    if addresses.people:
        # A person with a tenant, if there is one.
        person = max(addresses.people, key=lambda one: one["tenant"] is not None)["name"]
        token = shlex.join([*_command(), "token", person, *_folder(folder)])
        yield "\nTry it from another terminal, in this folder:"
        yield f'  curl -s {addresses.mcp_url} -H "Authorization: Bearer $({token})" \\'
        yield "    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\"
        yield f"    -d '{_CALL}'"
    yield "\nCtrl-C stops everything. Requests:"


def _command() -> list[str]:
    """Return the command that started this program, in a form that works in another terminal."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return [sys.executable, "-m", "server"]
    found = shutil.which(started.name)
    return [started.name if found and Path(found).samefile(started) else str(started)]


def _folder(folder: Path) -> list[str]:
    # The other terminal does not have this terminal's variables.
    return [] if folder == _DEFAULT_FOLDER.resolve() else ["--folder", str(folder)]
