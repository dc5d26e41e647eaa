"""SQL tools and tenants: whatever an operator's statement says, it reads the caller's own rows, in granted columns."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

import psycopg
import pytest
from support.sql import SqlServer, declared, rows_of, sql_server

from server.catalog.declarations import SqlTool
from server.catalog.loading import load_catalog
from server.catalog.sql_tool import compiled
from server.dev.stack import Stack
from server.errors import CatalogError

VALUE = {"value": "text"}
# Each reads all that it can, and shows the claim numbers that it found in one way or another.
READS = {
    "no_condition": "SELECT claim_number AS value FROM app.claims",
    "all_columns": "SELECT (whole.row).claim_number AS value FROM (SELECT claims AS row FROM app.claims) AS whole",
    "always_true": "SELECT claim_number AS value FROM app.claims WHERE tenant_id = 'broker-b' OR true",
    "both_tenants": "SELECT claim_number AS value FROM app.claims WHERE tenant_id IN ('broker-a', 'broker-b')",
    "union": """
        SELECT claim_number AS value FROM app.claims WHERE tenant_id = 'broker-a'
        UNION ALL SELECT claim_number FROM app.claims WHERE tenant_id = 'broker-b'
    """,
    "sub_select": "SELECT (SELECT string_agg(claim_number, ' ') FROM app.claims) AS value",
    "sub_select_of_each": """
        SELECT (SELECT max(claim_number) FROM app.claims AS other WHERE other.id = own.id) AS value
        FROM app.claims AS own
    """,
    "lateral": "SELECT o.claim_number AS value FROM app.claims AS c, LATERAL (SELECT * FROM app.claims LIMIT 9) AS o",
    "full_join": """
        SELECT coalesce(a.claim_number, b.claim_number) AS value
        FROM app.claims AS a FULL JOIN app.claims AS b ON a.id = b.id AND a.tenant_id <> b.tenant_id
    """,
    "recursive": """
        WITH RECURSIVE chain (value, id) AS (
          SELECT claim_number, id FROM app.claims WHERE id = (SELECT min(id) FROM app.claims)
          UNION SELECT c.claim_number, c.id FROM app.claims AS c JOIN chain ON c.id > chain.id
        ) SELECT value FROM chain
    """,
    "window": "SELECT first_value(claim_number) OVER (ORDER BY claim_number DESC) AS value FROM app.claims",
    "aggregate": "SELECT json_agg(claims)::text AS value FROM app.claims",
    "sample": "SELECT claim_number AS value FROM app.claims TABLESAMPLE system (100)",
    "query_in_a_text": "SELECT word AS value FROM ts_stat('SELECT to_tsvector(claim_number) FROM app.claims')",
    "error_of_a_filter": "SELECT claim_number AS value FROM app.claims WHERE 1 / (id + 1) >= 0",
    "except_own": """
        SELECT claim_number AS value FROM app.claims
        EXCEPT SELECT claim_number FROM app.claims WHERE tenant_id = 'broker-a'
    """,
    "the_tenants": "SELECT tenant_id AS value FROM tenancy.tenants",
}
WHOSE = declared(
    "whose",
    "SELECT claim_number AS value FROM app.claims WHERE tenant_id = :whose",
    VALUE,
    {"whose": 'type = "text", required = true'},
)
# Each tries to move the tenant with a context that the caller gives.
MOVES = {
    "in_the_list": "SELECT set_config('tenancy.context', :context, true) || claim_number AS value FROM app.claims",
    "before": """
        WITH moved AS MATERIALIZED (SELECT set_config('tenancy.context', :context, true) AS value)
        SELECT claim_number AS value FROM moved, app.claims WHERE moved.value IS NOT NULL
    """,
    "in_the_condition": """
        SELECT claim_number AS value FROM app.claims WHERE set_config('tenancy.context', :context, true) IS NOT NULL
    """,
    "for_the_session": """
        SELECT claim_number AS value FROM app.claims WHERE set_config('tenancy.context', :context, false) IS NOT NULL
    """,
    "inside": """
        SELECT word AS value FROM (SELECT set_config('tenancy.context', :context, true) AS done OFFSET 0) AS moved,
        LATERAL ts_stat('SELECT to_tsvector(claim_number) FROM app.claims WHERE ' || (moved.done IS NOT NULL)) AS found
    """,
    "away_and_back": """
        WITH own AS MATERIALIZED (SELECT current_setting('tenancy.context') AS context),
             moved AS MATERIALIZED (SELECT set_config('tenancy.context', :context, true) AS done FROM own),
             found AS MATERIALIZED (
               SELECT string_agg(claim_number, ' ') AS value FROM moved, app.claims WHERE moved.done IS NOT NULL
             )
        SELECT found.value FROM found, own WHERE set_config('tenancy.context', own.context, true) IS NOT NULL
    """,
}
CONTEXT = {"context": 'type = "text", required = true'}
# Each names the column `description` in another way.
UNGRANTED = {
    "shown": "SELECT description AS value FROM app.claims",
    "compared": "SELECT claim_number AS value FROM app.claims WHERE description <> ''",
    "ordered": "SELECT claim_number AS value FROM app.claims ORDER BY description",
    "starred": "SELECT value FROM (SELECT *, claim_number AS value FROM app.claims) AS every",
    "whole_row": "SELECT row_to_json(every)::text AS value FROM app.claims AS every",
    "counted_rows": "SELECT count(every)::text AS value FROM app.claims AS every",
    "joined": "SELECT c.claim_number AS value FROM app.claims AS c NATURAL JOIN app.claims AS d",
}
# What the login may not do, whoever asks.
OUT_OF_REACH = {
    "keys": ("permission denied for table keys", "SELECT kid AS value FROM tenancy.keys"),
    "passwords": ("permission denied for table pg_authid", "SELECT rolpassword AS value FROM pg_authid"),
    "migrations": ("permission denied for schema tenantgate", "SELECT name AS value FROM tenantgate.migrations"),
    "a_file": ("permission denied for function pg_read_file", "SELECT pg_read_file('PG_VERSION') AS value"),
    "system_column": ("permission denied for table claims", "SELECT ctid::text AS value FROM app.claims"),
    "locked": ("permission denied|read-only transaction", "SELECT claim_number AS value FROM app.claims FOR UPDATE"),
    "written": ("data-modifying", "WITH new AS (DELETE FROM app.claims RETURNING id) SELECT id AS value FROM new"),
    "kept": ("INTO is not allowed here|at or near", "SELECT claim_number AS value INTO app.copy FROM app.claims"),
}


def one_tool(text: str) -> SqlTool:
    """Return the tool of a catalog file with one entry."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "one.toml")
        file.write_text(text, encoding="utf-8")
        (tool,) = load_catalog([str(file)]).sql_tools
    return tool


def signed(stack: Stack, digest: str, tenant: str) -> str:
    """Return a genuine context of a person of `tenant` for one statement."""
    (key, *_) = stack.settings.database.signing_keys()
    person = (stack.addresses.issuer, "somebody")
    return key.sign(person=person, tenant=tenant, tier="", expiry_s=int(time()) + 30, digest=digest)


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    entries = [declared(name, sql, VALUE) for name, sql in READS.items()]
    entries += [declared(name, sql, VALUE) for name, sql in UNGRANTED.items()]
    entries += [declared(name, sql, VALUE, CONTEXT) for name, sql in MOVES.items()]
    with sql_server(stack, tmp_path_factory.mktemp("isolation"), "".join([*entries, WHOSE])) as served:
        yield served


@pytest.mark.parametrize("tool", READS)
def test_a_statement_shows_each_tenant_its_own_rows_whatever_it_says(server, tool) -> None:
    for person, own, other in [(server.mike, "-a", "-b"), (server.emma, "-b", "-a")]:
        shown = str(rows_of(person, tool)).lower()
        assert f"clm{other}" not in shown
        assert f"broker{other}" not in shown
        assert f"clm{own}" in shown or f"broker{own}" in shown or (tool == "except_own" and person is server.mike)


def test_a_tenant_that_a_caller_names_in_an_argument_is_only_a_filter(server) -> None:
    assert len(rows_of(server.mike, "whose", whose="broker-a")) == 3
    assert rows_of(server.mike, "whose", whose="broker-b") == []
    assert len(rows_of(server.emma, "whose", whose="broker-b")) == 2


def context_for(stack: Stack, tool: str, kind: str) -> str:
    """Return a context that would make the tenant broker-b, as far as a caller could have come by one."""
    if kind == "nonsense":
        return "broker-b"
    own = kind == "of this statement"
    statement = compiled(
        one_tool(declared("one", MOVES[tool], VALUE, CONTEXT) if own else declared("one", READS["union"], VALUE))
    )
    if kind == "forged":
        return signed(stack, statement.digest, "broker-a").replace("|broker-a|", "|broker-b|")
    return signed(stack, statement.digest, "broker-b")


# A context of this very statement is good for it for a minute, whoever sends it (docs/database.md). So a statement of
# the operator that takes a context from its caller, and puts the caller's own back at the end, is not tried with one.
KNOWN_LIMIT = ("away_and_back", "of this statement")


@pytest.mark.parametrize("kind", ["nonsense", "forged", "of another statement", "of this statement"])
@pytest.mark.parametrize("tool", MOVES)
def test_a_statement_that_sets_the_context_never_moves_the_tenant(server, stack, tool, kind) -> None:
    if (tool, kind) == KNOWN_LIMIT:
        return
    answer = server.mike.post(tool, context=context_for(stack, tool, kind))
    assert "clm-b" not in answer.text.lower()
    # The connections go back to the pool; nothing that was set stays with the next caller.
    for person, numbers in [(server.mike, 3), (server.emma, 2)] * 3:
        assert len(rows_of(person, "no_condition")) == numbers


@pytest.fixture
def revoked(admin: psycopg.Connection[Any]) -> Iterator[None]:
    """The column is declared no more, as far as the login's grants say."""
    admin.execute("REVOKE SELECT (description) ON app.claims FROM app_user")
    yield
    admin.execute("GRANT SELECT (description) ON app.claims TO app_user")


@pytest.mark.parametrize("tool", UNGRANTED)
def test_a_column_that_is_not_granted_is_refused_in_every_part_of_a_statement(server, tool, request) -> None:
    assert server.mike.call(tool)["isError"] is False
    request.getfixturevalue("revoked")
    refused = server.mike.call(tool)
    assert refused["isError"]
    assert "CLM" not in str(refused)
    assert "description" not in str(refused)
    assert len(server.rows("no_condition")) == 3


@pytest.mark.parametrize(("said", "sql"), OUT_OF_REACH.values(), ids=OUT_OF_REACH)
def test_a_statement_reads_nothing_out_of_the_logins_reach_and_writes_nothing(stack, login, admin, said, sql) -> None:
    statement = compiled(one_tool(declared("reach", sql, VALUE)))
    context = signed(stack, statement.digest, "broker-a")
    with pytest.raises(psycopg.Error, match=said):
        psycopg.RawCursor(login).execute(statement.sent, (context,))
    assert admin.execute("SELECT count(*) FROM app.claims").fetchone() == (5,)


@pytest.mark.parametrize("sql", ["SELECT 1 AS value; DELETE FROM app.claims", "DELETE FROM app.claims", "COMMIT"])
def test_a_text_that_is_not_one_select_is_not_loaded(sql) -> None:
    with pytest.raises(CatalogError, match="must be one"):
        one_tool(declared("two", sql, VALUE))
