"""Check a request against this database; every mistake is reported before anything is written."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, LiteralString

import psycopg

from server.adoption.decisions import Decisions
from server.adoption.keys import TABLES
from server.adoption.relations import DatabaseRelations
from server.adoption.request import Request
from server.errors import SettingsError, StartupError

_MOST_NAMED: Final = 3
_RIGHTS: Final[LiteralString] = """
SELECT current_user::text, r.rolsuper, ARRAY(
  SELECT o.rolname::text FROM pg_catalog.pg_roles o
  WHERE o.rolname = ANY ($1::text[]) AND NOT pg_has_role(o.oid, 'USAGE') ORDER BY 1)
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""


def check_request(request: Request, database: DatabaseRelations) -> None:
    """Raise SettingsError that names every table, schema and column of the options that the database does not have."""
    if problems := list(_problems(request, database)):
        raise SettingsError("; ".join(problems))


def check_rights(connection: psycopg.Connection[Any], decisions: Decisions) -> None:
    """Raise StartupError unless this login may protect every declared table; it can then count its rows too."""
    owners = {decisions.database.relations[name].facts.owner: name for name in decisions.declared}
    user, is_superuser, missing = connection.execute(_RIGHTS, (list(owners),)).fetchall()[0]
    if missing and not is_superuser:
        raise StartupError(
            f"database.admin_url logs in as {user}, which is neither a superuser nor a member of {missing[0]}, the "
            "owner "
            f"of {owners[missing[0]]}: use another login, or run GRANT {missing[0]} TO {user} (nothing was written)"
        )


def _problems(request: Request, database: DatabaseRelations) -> Iterator[str]:
    relations = database.relations
    for option, table in request.mentioned:
        if table not in relations:
            yield f"{option}: there is no table {table}{_similar(table, list(relations))}"
    schemas = {found.facts.schema for found in relations.values()}
    for schema in sorted(request.schemas - schemas):
        yield f"--schema: there is no schema {schema} with a table{_similar(schema, list(schemas))}"
    for table, column in request.chosen.items():
        if table in relations and column not in relations[table].facts.columns:
            similar = _similar(column, list(relations[table].facts.columns))
            yield f"--tenant-column: {table} has no column {column}{similar}"
    for table in sorted({*request.chosen, *request.shared} & relations.keys()):
        if relations[table].facts.kind not in TABLES:
            yield f"{table} is a view or a foreign table, for which adopt makes no policy; leave it out"
    columns = {column for found in relations.values() if found.facts.kind in TABLES for column in found.facts.columns}
    for name in request.names:
        if name not in columns:
            yield f"--tenant-column: no table of this database has a column {name}{_similar(name, list(columns))}"


def _similar(name: str, names: list[str]) -> str:
    similar = get_close_matches(name, names, n=_MOST_NAMED)
    return f"; there is {' and '.join(similar)}" if similar else "; correct its name"
