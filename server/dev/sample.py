"""The sample pack in development: people, tenants' rows, documents; a clone without the pack has none of them."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, LiteralString, cast

import psycopg

from server.dev.people import people_of

_FOLDER: Final = Path(str(files("server"))).parent / "tools" / "sample"
_FILE: Final = _FOLDER / "people.toml"
_PACK: Final[dict[str, Any]] = tomllib.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {}
PEOPLE: Final = people_of(_PACK.get("person", ()))
TIERS: Final = tuple(map(str, _PACK.get("tiers", ())))
SAMPLE_DOCUMENTS: Final = _FOLDER / "documents"


def load_sample(connection: psycopg.Connection[Any], issuer: str) -> None:
    """Load the rows with dates relative to today, and map the sample people of `issuer` to their tenants."""
    rows = _FOLDER / "rows.sql"
    if not rows.exists():
        return
    with connection.transaction():
        connection.execute(cast("LiteralString", rows.read_text(encoding="utf-8")))
        # A development issuer's address changes with its port, so old mappings of its people are useless.
        connection.execute("DELETE FROM tenancy.user_tenants WHERE issuer ~ '^http://127[.]0[.]0[.]1:'")
        for person in PEOPLE:
            if person.tenant is not None:
                connection.execute(
                    "INSERT INTO tenancy.user_tenants (issuer, user_sub, tenant_id) VALUES (%s, %s, %s)",
                    (issuer, person.subject, person.tenant),
                )
