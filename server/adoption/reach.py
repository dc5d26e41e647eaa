"""Undeclared routines and sequences that the login could use, and the SQL that revokes them only from the login.

The login has PUBLIC's grants too, and PostgreSQL cannot exclude one role from PUBLIC. So the SQL grants the privileges
to today's roles by name, and revokes them from PUBLIC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import sql

from server.catalog.protection.script import Script, listed

_OTHERS: Final[LiteralString] = """
ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles r
      WHERE NOT r.rolsuper AND r.rolname !~ '^pg_' AND r.rolname <> ALL (ARRAY[$1, 'tenancy_owner'])
        AND has_schema_privilege(r.oid, n.oid, 'USAGE') ORDER BY 1)
"""
# Routines that run with their owner's rights, or that reach outside the database: the doctor reports both.
_ROUTINES: Final[LiteralString] = f"""
SELECT n.nspname::text, p.oid::regprocedure::text, 'ROUTINE', ARRAY['EXECUTE'], {_OTHERS},
       pg_has_role(p.proowner, 'USAGE')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenancy', 'tenantgate')
  AND (p.prosecdef OR p.proname ~ '^(dblink.*|get_raw_page|pg_get_wal_(records?|block)_.*|pg_file_.*)$')
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
              WHERE x.grantee = 0 OR x.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1))
ORDER BY 1, 2
"""
_SEQUENCES: Final[LiteralString] = f"""
SELECT n.nspname::text, c.oid::regclass::text, 'SEQUENCE',
       ARRAY(SELECT DISTINCT x.privilege_type FROM aclexplode(c.relacl) x WHERE x.grantee = 0 ORDER BY 1), {_OTHERS},
       pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenancy', 'tenantgate')
  AND EXISTS (SELECT FROM aclexplode(c.relacl) x
              WHERE x.grantee = 0 OR x.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1))
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Reachable:
    """A routine or sequence that the login could use.

    `name` is as PostgreSQL writes it; `privileges` are those of PUBLIC, which the roles `others` keep; `is_ours` says
    whether this administrator may change the grants.
    """

    schema: str
    name: str
    kind: str
    privileges: tuple[str, ...]
    others: tuple[str, ...]
    is_ours: bool

    def script(self, login: str) -> Script:
        """Return the SQL that revokes it from the login."""
        script = Script()
        script.say(f"{login} could use {self.name}, by a grant of its own or of PUBLIC.")
        script.begin()
        # PostgreSQL returned this text, with the name quoted where necessary.
        what = sql.SQL(cast("LiteralString", f"{self.kind} {self.name}"))
        if self.others and self.privileges:
            privileges = sql.SQL(cast("LiteralString", ", ".join(self.privileges)))
            script.run(sql.SQL("GRANT {} ON {} TO {}").format(privileges, what, listed(self.others)))
        script.run(sql.SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(what, sql.Identifier(login)))
        script.run(sql.SQL("COMMIT"))
        return script


def reachable(connection: psycopg.Connection[Any], login: str) -> Iterator[Reachable]:
    """Yield the routines and sequences in reach; `connection` has RawCursor, and search_path = pg_catalog."""
    for query in (_ROUTINES, _SEQUENCES):
        for schema, name, kind, privileges, others, is_ours in connection.execute(query, (login,)).fetchall():
            yield Reachable(schema, name, kind, tuple(privileges), tuple(others), is_ours)
