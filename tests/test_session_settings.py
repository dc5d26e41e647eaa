"""Settings of sessions change no answer: the same bytes, and every page exactly once, whatever anybody has set.

The requirement R173.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from support.examined_database import Examined, database_of_its_own
from support.second_server import MISSING, PASSWORD, PROGRAMS, second_server
from support.server_of_its_own import OwnServer, server_of_its_own
from support.settings_matrix import MATRIX, PLACES
from support.sql import declared

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import load_catalog
from server.database.session import SERVING
from server.dev.sample import load_sample
from server.dev.stack import Stack

ROWS = 40
TABLE = """
[[table]]
name = "matrix.kinds"
tenant = "owner"
scope = "claims:read"
rows = "kinds"
list = { tool = "list_kinds", sort = "at", limit = 15, max_limit = 50 }
summary = { tool = "sum_kinds" }

[table.columns]
id = { type = "integer", sort = true }
name = { type = "text", filter = "contains", sort = true, group = true }
at = { type = "timestamp", filter = "range", sort = true, group = ["day", "week", "month"] }
local = { type = "timestamp", sort = true, filter = "range" }
day = { type = "date", sort = true, filter = "range" }
real = { type = "decimal", sort = true, measures = ["total", "largest"] }
double = { type = "decimal", sort = true, filter = "range", measures = ["total", "average"] }
money = { type = "decimal", sort = true, measures = ["total"] }
words = { type = "text[]" }
document = { type = "json" }
"""
DATA = """
CREATE SCHEMA matrix;
CREATE TABLE matrix.kinds (
  id bigint PRIMARY KEY, owner text NOT NULL, name text, at timestamptz, local timestamp, day date, real real,
  double double precision, money money, words text[], document jsonb);
CREATE INDEX ON matrix.kinds (owner, at, id);
INSERT INTO matrix.kinds
SELECT g, 'broker-a',
       (ARRAY['apple', 'Zebra', 'Ärzte', 'müller', 'MÜLLER', 'C:\\new', 'it''s', NULL])[1 + g % 8] || g / 16,
       timestamptz '2026-10-24 23:00+00' + g * interval '7 minutes',
       timestamp '2026-03-29 01:30' + g * interval '7 days',
       CASE WHEN g % 9 > 0 THEN date '2026-01-02' + g END,
       (0.1 * g)::real, 1e-7 * g + 0.1 + 0.2, (g * 1.25)::numeric::money,
       ARRAY['a' || g, NULL, 'NULL'], jsonb_build_object('n', g, 'at', timestamptz '2026-10-24 23:00+00')
FROM generate_series(1, 40) g;
UPDATE matrix.kinds SET at = 'infinity' WHERE id = 3;
UPDATE matrix.kinds SET at = '0044-03-15 12:00+00 BC' WHERE id = 4;
-- What a search path could put in front of the system's own.
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.left(text, int) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'hostile';
CREATE FUNCTION hostile.to_char(timestamp, text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'hostile';
CREATE FUNCTION hostile.length(text) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1000000;
CREATE FUNCTION hostile.upper(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'HOSTILE';
CREATE FUNCTION hostile.round(numeric, int) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN 666;
CREATE FUNCTION hostile.never(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN false;
CREATE OPERATOR hostile.> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.never);
GRANT USAGE ON SCHEMA hostile TO app_user;
"""
FORMS = declared(
    "forms",
    r"""
SELECT (0.1::float8 + 0.2::float8)::text AS double, (interval '1 day 02:03:04')::text AS length,
       (timestamptz '2026-10-24 23:00+00')::text AS moment, (date '2026-02-03')::text AS day,
       convert_to('ä\', 'UTF8')::text AS bytes, regexp_replace('CLM-12', '\d+', '#') AS replaced,
       '{null}'::text[] AS words, to_char(1234.5, '9G999D9') AS number, to_char(date '2026-02-03', 'TMMonth') AS month,
       length('ä€') AS letters, 'matrix.kinds'::regclass::text AS name, upper('a') AS capital,
       (1 = NULL) IS NULL AS null
""",
    dict.fromkeys(
        ["double", "length", "moment", "day", "bytes", "replaced", "number", "month", "name", "capital"], "text"
    )
    | {"words": "text[]", "letters": "integer", "null": "boolean"},
)
ORDERS = (*(("name", False), ("name", True), ("at", False), ("at", True), ("double", True), ("local", False)),)


@pytest.fixture(scope="module")
def matrix(stack: Stack) -> Generator[Examined]:
    with database_of_its_own(stack.admin_url, stack.addresses.database_url, "settings_matrix") as database:
        fill(stack, database)
        yield database


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("matrix")
    (made / "kinds.toml").write_text(TABLE + FORMS, encoding="utf-8")
    return made


def fill(stack, database: Examined) -> None:
    """Migrate with the stack's own key and people, and add a table with every kind of value."""
    migrate(database.admin_url, lambda _step: None, folders=["sample"])
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        put_key(connection, stack.settings.database.signing_keys()[0])
        load_sample(connection, stack.addresses.issuer)
    database.run(DATA)


@pytest.fixture(scope="module")
def protected(matrix: Examined, folder: Path) -> Examined:
    matrix.protect(load_catalog([str(folder)]), "matrix.kinds")
    return matrix


@contextmanager
def serving(stack, database: Examined, folder: Path, **settings: Any) -> Generator[OwnServer]:
    catalog = ["sample", str(folder)]
    with server_of_its_own(stack, catalog=catalog, url=SecretStr(database.url), **settings) as server:
        yield server


def answers(server: OwnServer) -> dict[str, str]:
    """Return what every tool answers, all pages in both directions included, as text."""
    found = {
        f"{name} {arguments}": text(server.call(name, **arguments))
        for name, arguments in (
            ("query_claims", {}),
            ("summarize_claims", {"group_by": "week"}),
            ("forms", {}),
            ("sum_kinds", {"group_by": "at_day"}),
            ("sum_kinds", {"group_by": "name", "at_from": "2026-10-25"}),
            ("list_kinds", {"local_from": "2026-03-29", "local_to": "2026-06-01", "name": "MÜLLER"}),
            ("list_kinds", {"day_from": "2026-01-05", "day_to": "2026-01-05", "min_double": 0.3}),
        )
    }
    for sort, descending in ORDERS:
        rows = list(pages(server, sort=sort, descending=descending))
        assert len(rows) == len({row["id"] for row in rows}) == ROWS, (sort, descending)
        found[f"{sort} {descending}"] = json.dumps(rows, ensure_ascii=False)
    return found


def pages(server: OwnServer, **arguments: object):
    cursor, calls = {}, 0
    while True:
        page = json.loads(text(server.call("list_kinds", **arguments, **cursor)))
        yield from page["kinds"]
        calls += 1
        if page["next_cursor"] is None:
            assert calls == -(-ROWS // 15)
            return
        assert calls <= ROWS
        cursor = {"cursor": page["next_cursor"]}


def text(result) -> str:
    assert not result["isError"], result
    return result["content"][0]["text"]


def without_cursors(found: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r'"next_cursor":"[^"]*"', '"next_cursor":"…"', said) for name, said in found.items()}


@pytest.fixture(scope="module")
def expected(stack: Stack, protected: Examined, folder: Path) -> dict[str, str]:
    with serving(stack, protected, folder) as server:
        return without_cursors(answers(server))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("column", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_case_02_whatever_is_set_every_tool_returns_the_same_bytes(
    stack, protected, folder, expected, place, column
) -> None:
    values = {name: several[column] for name, several in MATRIX.items()}
    with PLACES[place](protected, values), serving(stack, protected, folder) as server:
        assert without_cursors(answers(server)) == expected


def test_case_02_answers_are_the_same_through_a_pooler_in_transaction_mode(stack, protected, folder, expected) -> None:
    """The way through a pooler in transaction mode, which keeps no settings for a client."""
    values = {name: several[1] for name, several in MATRIX.items()}
    with (
        PLACES["role"](protected, values),
        serving(stack, protected, folder, prepared_statements=False) as server,
    ):
        assert without_cursors(answers(server)) == expected


def test_the_matrix_changes_answers_where_nothing_is_done_about_it(protected) -> None:
    """Seen to fail: a plain connection of the login writes these values in other ways."""
    question = "SELECT (0.1::float8 + 0.2)::text, '\\d', current_timestamp::date::text, 'matrix.kinds'::regclass::text"
    with psycopg.connect(protected.url) as plain:
        before = plain.execute(question).fetchone()
    values = {name: several[1] for name, several in MATRIX.items()}
    with PLACES["role"](protected, values), psycopg.connect(protected.url) as plain:
        after = plain.execute(question).fetchone()
    assert before is not None
    assert after is not None
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_case_02_pages_of_claims_by_filing_time_are_each_seen_once(stack, protected, folder) -> None:
    """The very case: 40 claims seven minutes apart, in India, under `SQL, DMY`."""
    insert = (
        "INSERT INTO app.claims (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, "
        "filed_at) SELECT 'broker-a', 'CLM-02-' || g, 'A', 1, 'open', 'auto', timestamptz '2026-10-24 23:00+00' "
        "+ g * interval '7 minutes' FROM generate_series(1, 40) g"
    )
    settings = {"DateStyle": "SQL, DMY", "TimeZone": "Asia/Kolkata"}
    delete = "DELETE FROM app.claims WHERE claim_number LIKE 'CLM-02-%'"
    with (
        protected.broken(insert, delete),
        PLACES["role"](protected, settings),
        serving(stack, protected, folder) as own,
    ):
        for descending in (False, True):
            seen: list[str] = []
            cursor: dict[str, str] = {}
            for _ in range(15):
                page = json.loads(
                    text(own.call("query_claims", limit=3, sort="filed_at", descending=descending, **cursor))
                )
                seen += [claim["claim_number"] for claim in page["claims"]]
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
            assert len(seen) == len(set(seen)) == 43


LOCALES = {
    "C": "LOCALE 'C'",
    "C.UTF-8 of the C library": "LOCALE_PROVIDER libc LOCALE 'C.utf8'",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCALES)
def test_the_locale_of_the_database_changes_no_answer(stack, folder, expected, name) -> None:
    with database_with(stack.admin_url, stack.addresses.database_url, LOCALES[name]) as database:
        fill(stack, database)
        database.protect(load_catalog([str(folder)]), "matrix.kinds")
        with serving(stack, database, folder) as server:
            assert without_cursors(answers(server)) == expected


@pytest.mark.skipif(PROGRAMS is None, reason=MISSING)
def test_the_alphabet_of_a_language_changes_no_answer(stack, folder, expected, tmp_path_factory) -> None:
    """German by ICU, on another release of PostgreSQL: Ä stands beside A there, and small letters before capitals."""
    place = tmp_path_factory.mktemp("second")
    place.chmod(0o711)
    german = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C'"
    with second_server(place / "server") as admin_url:
        login_url = admin_url.replace("//postgres:", "//app_user:")
        with database_with(admin_url, login_url, german) as database:
            fill(stack, database)
            database.run(f"ALTER ROLE app_user PASSWORD '{PASSWORD}'")
            database.protect(load_catalog([str(folder)]), "matrix.kinds")
            with psycopg.connect(database.admin_url) as admin:
                assert admin.execute("SELECT 'Ärzte' < 'Zebra', 'apple' < 'Zebra'").fetchone() == (True, True)
            with serving(stack, database, folder) as server:
                assert without_cursors(answers(server)) == expected


@contextmanager
def database_with(admin_url: str, login_url: str, locale: str) -> Generator[Examined]:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE matrix_locale TEMPLATE template0 ENCODING 'UTF8' {locale}".encode())
    try:
        yield Examined(*(f"{url.rpartition('/')[0]}/matrix_locale" for url in (admin_url, login_url)))
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(b"DROP DATABASE matrix_locale WITH (FORCE)")


def test_the_document_has_the_same_rows_as_the_matrix() -> None:
    document = (Path(__file__).parents[1] / "docs" / "database.md").read_text(encoding="utf-8")
    section = document.partition("## Settings that change no answer")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [_row(name, *several) for name, several in MATRIX.items()]


def _row(name: str, one: str, other: str) -> str:
    tried = f"`{one}`" if one == other else f"`{one}` and `{other}`"
    server = f"`{SERVING[name]}`" if name in SERVING else "`UTF8`" if name == "client_encoding" else "as it is"
    return f"| `{name}` | {tried} | {server} |"
