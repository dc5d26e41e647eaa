"""The development stack on this machine: where its parts are, and the secrets that an attempt must not show."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

_STATE: Final = "dev.json"


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of a running `tenantgate dev` with the embedded database."""

    folder: Path
    mcp_url: str
    knowledge_base_url: str | None
    people: tuple[dict[str, Any], ...]
    service_url: str = field(repr=False)
    owner_url: str = field(repr=False)
    context_key: str = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in any answer of this page."""
        passwords = [urlsplit(url).password or "" for url in (self.service_url, self.owner_url)]
        return tuple(one for one in (*passwords, self.context_key.partition(":")[2]) if one)

    def other_person(self, tenant: str | None) -> str | None:
        """Return a person of another tenant, None when there is none."""
        return next((one["name"] for one in self.people if one["tenant"] not in {None, tenant}), None)


def find_place(folder: Path, mcp_url: str) -> Place | None:
    """Return the stack that runs in `folder` and serves `mcp_url`.

    None when another server is meant, or when its database is not the embedded one: its owner is unknown here.
    """
    try:
        addresses = json.loads((folder / _STATE).read_text(encoding="utf-8"))["addresses"]
        password = (folder / "postgres" / "password").read_text(encoding="utf-8")
        key = (folder / "context.key").read_text(encoding="ascii")
    except (OSError, ValueError, LookupError):
        return None
    service = urlsplit(str(addresses["database_url"]))
    if addresses["mcp_url"] != mcp_url or service.hostname != "127.0.0.1":
        return None
    owner = service._replace(netloc=f"postgres:{quote(password, safe='')}@127.0.0.1:{service.port}")
    return Place(
        folder=folder,
        mcp_url=mcp_url,
        knowledge_base_url=addresses["knowledge_base_url"],
        people=tuple(addresses["people"]),
        service_url=addresses["database_url"],
        owner_url=owner.geturl(),
        context_key=key,
    )
