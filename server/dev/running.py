"""What other commands know about a running `tenantgate dev`: the addresses in its folder."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from server.dev.folder import is_locked
from server.dev.issuer.keys import SigningKeys
from server.dev.issuer.tokens import COMMAND_LINE_CLIENT, Tokens, access_claims
from server.dev.people import Person
from server.errors import StartupError

_STATE: Final = "dev.json"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of all servers; this is the line that `--json` prints."""

    mcp_url: str
    issuer: str
    people: list[dict[str, Any]]
    database_url: str
    knowledge_base_url: str | None


@contextmanager
def published(folder: Path, addresses: Addresses, scopes: tuple[str, ...]) -> Generator[None]:
    """Let other commands find the running stack."""
    state = folder / _STATE
    state.touch(mode=0o600)
    state.write_text(json.dumps({"addresses": asdict(addresses), "scopes": scopes}), encoding="utf-8")
    try:
        yield
    finally:
        state.unlink(missing_ok=True)


def access_token(folder: Path, name: str) -> str:
    """Return an access token of a sample person, signed with the running issuer's key; raise StartupError."""
    state = folder / _STATE
    # A killed stack leaves its addresses, but not its lock.
    if not state.exists() or not is_locked(folder):
        raise StartupError(f"no development server runs in {folder}; start one with `tenantgate dev`")
    running = json.loads(state.read_text(encoding="utf-8"))
    addresses = Addresses(**running["addresses"])
    found = next((one for one in addresses.people if one["name"] == name), None)
    if found is None:
        known = ", ".join(one["name"] for one in addresses.people)
        raise StartupError(f"the person {name!r} does not exist; use one of {known}")
    person = Person(name, found["sub"], found["tenant"], tuple(found["groups"]))
    claims = access_claims(person, COMMAND_LINE_CLIENT, tuple(running["scopes"]), addresses.mcp_url)
    return Tokens(addresses.issuer, SigningKeys(folder / "issuer")).access(claims)
