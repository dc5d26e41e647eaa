"""Databases that nobody expects: a check holds, or is an offence that names itself; a traceback it never is.

The requirement R176.
"""

import psycopg
import pytest
from psycopg import sql
from support.examined_database import KEY, Examined
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.errors import StartupError, UnreachableError

# Whatever of PostgreSQL's own the doctor may ask, taken from everybody.
RELATIONS = (
    *(
        "pg_am",
        "pg_attribute",
        "pg_auth_members",
        "pg_cast",
        "pg_class",
        "pg_collation",
        "pg_constraint",
        "pg_database",
    ),
    *("pg_default_acl", "pg_depend", "pg_foreign_server", "pg_index", "pg_inherits", "pg_largeobject_metadata"),
    *(
        "pg_namespace",
        "pg_partitioned_table",
        "pg_policy",
        "pg_proc",
        "pg_rewrite",
        "pg_roles",
        "pg_settings",
        "pg_type",
    ),
)
FUNCTIONS = (
    *("pg_get_functiondef(oid)", "pg_get_function_sqlbody(oid)", "pg_get_userbyid(oid)", "aclexplode(aclitem[])"),
    *(
        "has_table_privilege(name, oid, text)",
        "current_setting(text)",
        "format_type(oid, integer)",
        "to_jsonb(anyelement)",
    ),
    *("clock_timestamp()", "json_agg(anyelement)", "upper(text)", "quote_ident(text)", "pg_options_to_table(text[])"),
)
# Without these nothing can be asked at all.
VITAL = ("set_config(text, text, boolean)", "pg_backend_pid()")


REVOKED = [*(f"EXECUTE ON ROUTINE {one}" for one in FUNCTIONS), *(f"SELECT ON pg_catalog.{one}" for one in RELATIONS)]


def in_part(values, count: int):
    """Return the first of them, and the others for longer runs alone."""
    return [*values[:count], *(pytest.param(one, marks=pytest.mark.slow) for one in values[count:])]


@pytest.mark.parametrize("what", in_part(REVOKED, 5))
def test_case_04_whatever_is_revoked_checks_hold_or_name_themselves(examined: Examined, what: str) -> None:
    with examined.broken(f"REVOKE {what} FROM PUBLIC", f"GRANT {what} TO PUBLIC"):
        failed = examined.report().failed
    name = what.rpartition(".")[2].rpartition(" ON ROUTINE ")[2].partition("(")[0]
    for check in failed:
        for one in check.offenders:
            assert f"permission denied for {_kind(one.problem)} {name}" in one.problem, one
            assert "failed:" not in one.problem


def _kind(problem: str) -> str:
    return problem.partition("permission denied for ")[2].partition(" ")[0]


@pytest.mark.parametrize("function", VITAL)
def test_case_04_where_nothing_can_be_asked_the_start_ends_with_the_databases_words(examined, function) -> None:
    revoked = f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"
    with (
        examined.broken(revoked, revoked.replace("REVOKE", "GRANT").replace("FROM", "TO")),
        pytest.raises(
            StartupError, match=r"the database cannot be queried \(permission denied for function"
        ) as refused,
    ):
        examined.report()
    assert not isinstance(refused.value, UnreachableError)


NAMES = ("Mixed Case", 'quo"te', "a.b", "ünï", "per%s%%cent", "semi;colon", "new\nline", "--", "$1", "it's", "select")


@pytest.mark.parametrize("name", in_part(NAMES, 2))
def test_remedies_for_objects_of_any_name_can_be_run_as_they_are_printed(examined, name) -> None:
    one = sql.Identifier(name).as_string()
    made = (
        f"CREATE SCHEMA {one}; CREATE TABLE {one}.{one} ({one} int, tenant_id text); CREATE ROLE {one};"
        f"GRANT SELECT ON {one}.{one} TO app_user; GRANT SELECT ON {one}.{one} TO {one}; GRANT {one} TO app_user;"
        f"CREATE FUNCTION {one}.{one}() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';"
        f"CREATE POLICY {one} ON app.claims TO app_user USING (true);"
        f"CREATE SEQUENCE {one}.{one}_seq; GRANT USAGE ON SEQUENCE {one}.{one}_seq TO PUBLIC"
    ).replace(f"{one}_seq", sql.Identifier(f"{name} seq").as_string())
    dropped = (
        f"DROP POLICY IF EXISTS {one} ON app.claims; DROP SCHEMA {one} CASCADE; REVOKE {one} FROM app_user;"
        f"DROP OWNED BY {one}; DROP ROLE {one}"
    )
    with examined.broken(made, dropped):
        assert {check.name for check in examined.report().failed} > {"undeclared_relations", "policies"}
        for _ in range(3):
            for check in examined.report().failed:
                for offender in check.offenders:
                    examined.run(offender.remedy)
        assert examined.report().holds
    assert examined.report().holds


def test_the_views_of_an_extension_are_named_and_can_be_accepted(examined) -> None:
    with examined.broken("CREATE EXTENSION pg_stat_statements", "DROP EXTENSION pg_stat_statements"):
        views = {"public.pg_stat_statements", "public.pg_stat_statements_info"}
        assert examined.offenders() == {"undeclared_relations": views}
        report = examined.report(accepted_relations=tuple(views))
    assert report.holds
    assert all(any(view in notice for notice in report.notices) for view in views)


@pytest.mark.parametrize("extension", in_part(["vector", "hstore", "citext", "postgres_fdw", "ltree", "tablefunc"], 1))
def test_an_extension_with_functions_and_types_changes_no_verdict(examined, extension) -> None:
    with examined.broken(f"CREATE EXTENSION {extension}", f"DROP EXTENSION {extension}"):
        assert examined.offenders() == {}


def test_each_of_a_thousand_relations_is_named(examined) -> None:
    many = "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('{}', 'Many ' || i); END LOOP; END $$"
    made = many.format("CREATE TABLE desk.%1$I (tenant_id text); GRANT SELECT ON desk.%1$I TO PUBLIC")
    with examined.broken(made, many.format("DROP TABLE desk.%I")):
        assert examined.offenders() == {"undeclared_relations": {f"desk.Many {number}" for number in range(1, 1001)}}
        examined.run(many.format("REVOKE ALL ON desk.%I FROM PUBLIC"))
        assert examined.offenders() == {}


@pytest.mark.slow
def test_a_thousand_partitions_need_nothing(examined) -> None:
    many = "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('{}', i); END LOOP; END $$"
    parts = "CREATE TABLE desk.part_%1$s PARTITION OF desk.parted FOR VALUES IN (%1$L)"
    made = f"CREATE TABLE desk.parted (day int, tenant_id text) PARTITION BY LIST (day); {many.format(parts)}"
    with examined.broken(made.replace("%1$L", "%1$s"), "DROP TABLE desk.parted"):
        assert examined.offenders() == {}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_named(stack, encoding) -> None:
    locale = f"LOCALE_PROVIDER libc LOCALE 'C' ENCODING '{encoding}'"
    with psycopg.connect(stack.admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE encoded TEMPLATE template0 {locale}".encode())
    try:
        urls = (f"{url.rpartition('/')[0]}/encoded" for url in (stack.admin_url, stack.addresses.database_url))
        database = Examined(*urls)
        migrate(database.admin_url, lambda _step: None, folders=["sample"])
        with psycopg.connect(database.admin_url, autocommit=True) as admin:
            put_key(admin, KEY)
        found = {check.name: check.offenders for check in database.report().failed}
        assert [one.problem for one in found["0024_encoding"]] == [f"its encoding is {encoding}"]
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as admin:
            admin.execute(b"DROP DATABASE encoded WITH (FORCE)")
