"""`tenantgate tools check` with a database: what a declaration says and the database does not, one line each."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.catalog.comparison import differences
from server.catalog.facts import read_facts
from server.catalog.loading import load_catalog
from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
# Nothing here is granted to the login: whoever can connect may read what a relation is made of.
TABLES = """
CREATE SCHEMA compared;
CREATE TYPE compared.state AS ENUM ('open', 'paid');
CREATE DOMAIN compared.money AS numeric(12, 2);
CREATE TABLE compared.every (
  id bigint PRIMARY KEY, account text NOT NULL, code varchar(10) NOT NULL, letter char(1), state compared.state,
  small smallint, price compared.money, ratio double precision, cost money, paid boolean, made date, sent timestamptz,
  local timestamp, ref uuid, doc jsonb, old_doc json, tags text[], numbers integer[], place inet, span interval,
  UNIQUE (account, code), UNIQUE (letter)
);
CREATE TABLE compared.keyless (account text NOT NULL, note text);
CREATE TABLE compared.odd_key (account text, span interval NOT NULL, PRIMARY KEY (account, span));
CREATE VIEW compared.seen WITH (security_invoker = true) AS SELECT id, account, code FROM compared.every;
CREATE MATERIALIZED VIEW compared.kept AS SELECT id, account FROM compared.every;
CREATE TABLE compared.parts (id bigint, account text NOT NULL, PRIMARY KEY (account, id)) PARTITION BY LIST (account);
"""
# Each column of `every` that can be declared so, and what it may say beside its type.
FITTING = {
    "id": 'type = "integer", nullable = false, sort = true, filter = "range", measures = ["largest"]',
    "code": 'type = "text", nullable = false, filter = "contains", sort = true, group = true',
    "letter": 'type = "text", filter = true',
    "state": 'type = "text", values = ["open", "paid"], filter = true, group = true, sort = true',
    "small": 'type = "integer", measures = ["total"]',
    "price": 'type = "decimal", filter = "range", sort = true, sort_by = "id", measures = ["total", "average"]',
    "ratio": 'type = "decimal", sort = true',
    "cost": 'type = "decimal"',
    "paid": 'type = "boolean", filter = true, group = true',
    "made": 'type = "date", filter = "range", group = ["month"]',
    "sent": 'type = "timestamp", filter = "range", period = true, group = ["week"]',
    "local": 'type = "timestamp", sort = true',
    "ref": 'type = "uuid", filter = true',
    "doc": 'type = "json"',
    "old_doc": 'type = "json"',
    "tags": 'type = "text[]"',
    "numbers": 'type = "integer[]"',
    "place": 'type = "text"',
    "span": 'type = "text"',
}
UNFITTING = {
    "id": ('type = "text", filter = true', "is bigint, which cannot be filtered, sorted or grouped"),
    "code": ('type = "integer"', "is declared integer and is character varying(10); declare text"),
    "state": ('type = "boolean"', "is declared boolean and is compared.state; declare text"),
    "price": ('type = "integer"', "is declared integer and is compared.money; declare decimal"),
    "ratio": ('type = "integer"', "is declared integer and is double precision; declare decimal"),
    "cost": ('type = "integer"', "is declared integer and is money; declare decimal"),
    "paid": ('type = "integer"', "is declared integer and is boolean; declare boolean"),
    "made": ('type = "timestamp"', "is declared timestamp and is date; declare date"),
    "sent": ('type = "date"', "is declared date and is timestamp with time zone; declare timestamp"),
    "ref": ('type = "json"', "is declared json and is uuid; declare uuid"),
    "doc": ('type = "text[]"', "is declared text[] and is jsonb; declare json"),
    "tags": ('type = "text"', "is declared text and is text[]; declare text[]"),
    "numbers": ('type = "integer"', "is declared integer and is integer[]; declare integer[]"),
    "place": ('type = "text", sort = true', "is inet, which cannot be filtered, sorted or grouped"),
    "letter": ('type = "text", nullable = false', "is declared nullable = false but may be NULL"),
    "gone": ('type = "text"', "the relation has no column gone; correct its name"),
    "renamed": ('type = "text", column = "kode"', "the relation has no column kode; correct its name"),
}
SORTED_BY = {
    "cents": "the relation has no column cents; correct its name, or run `tenantgate migrate` if a migration adds it",
    "price": "price is compared.money, by which sort_by cannot sort; use bigint",
    "state": "state is compared.state, by which sort_by cannot sort; use bigint",
    "code": "code is character varying(10), by which sort_by cannot sort; use bigint",
}


def table(name: str, *lines: str, columns: str = 'columns.account = { type = "text" }') -> str:
    entry = [f'[[table]]\nname = "compared.{name}"\ntenant = "account"\nscope = "compared:read"']
    return "\n".join([*entry, *lines, columns, ""])


def listed(name: str, *lines: str) -> str:
    return table(name, f'list = {{ tool = "list_{name}" }}', *lines)


NO_KEY = "key: it has no primary key; name columns that are unique and not null, or leave out list"
NOT_UNIQUE = "key: no unique index over NOT NULL columns covers ({}); name such columns, or add an index"
WRONG = [
    (listed("nowhere"), "compared.nowhere: does not exist; correct its name, or create it"),
    (
        table("kept"),
        "compared.kept: is a materialized view, which cannot have row level security; declare a table or a view",
    ),
    (listed("keyless"), f"compared.keyless: {NO_KEY}"),
    (listed("seen"), f"compared.seen: {NO_KEY}"),
    (listed("every", 'key = ["account"]'), f"compared.every: {NOT_UNIQUE.format('account')}"),
    (listed("every", 'key = ["letter"]'), f"compared.every: {NOT_UNIQUE.format('letter')}"),
    (listed("every", 'key = ["number"]'), "compared.every: key: the relation has no column number; correct its name"),
    (
        listed("odd_key"),
        "compared.odd_key: key: span is interval, which a cursor cannot contain; name other columns",
    ),
]
RIGHT = [
    table("keyless"),
    listed("every", 'key = ["account", "code"]'),
    listed("every", 'key = ["id", "letter"]'),
    listed("seen", 'key = ["id"]'),
    listed("parts"),
]


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    """The login's connection to a database with the tables."""
    with psycopg.connect(stack.admin_url, autocommit=True) as admin:
        admin.execute(TABLES)
        yield stack.addresses.database_url
        admin.execute("DROP SCHEMA compared CASCADE")


def check(folder: Path, text: str, url: str) -> "subprocess.CompletedProcess[str]":
    """Run `tenantgate tools check` on one file and a database."""
    (folder / "compared.toml").write_text(text, encoding="utf-8")
    settings = f'catalog = ["compared.toml"]\n[database]\nurl = "{url}"\n'
    (folder / "tenantgate.toml").touch(mode=0o600)
    (folder / "tenantgate.toml").write_text(settings, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "server", "tools", "check", "--config", str(folder / "tenantgate.toml")],
        cwd=ROOT,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_type_of_column_fits_what_it_is_declared_as(tmp_path, url) -> None:
    columns = "\n".join(f"columns.{name} = {{ {said} }}" for name, said in FITTING.items())
    checked = check(tmp_path, table("every", 'list = { tool = "list_every" }', columns=columns), url)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "The catalog is valid and agrees with the database: 1 tables, 2 tools.\n"


def test_a_column_of_another_type_is_named_with_the_type_to_declare(tmp_path, url) -> None:
    columns = "\n".join(f"columns.{name} = {{ {said} }}" for name, (said, _) in UNFITTING.items())
    checked = check(tmp_path, table("every", columns=columns), url)
    assert (checked.returncode, checked.stdout) == (1, "")
    for (name, (_, said)), problem in zip(UNFITTING.items(), checked.stderr.splitlines(), strict=True):
        assert problem.startswith(f"table compared.every: columns.{name}: {said}")
        assert ";" in problem


def compared(file: Path, text: str, url: str) -> list[str]:
    """Return what `tools check` finds in a file, without a process of its own."""
    file.write_text(text, encoding="utf-8")
    tables = load_catalog([str(file)]).tables
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as login:
        facts = read_facts(login, tables)
    return [f"{name}: {one}" for name, table in tables.items() for one in differences(table, facts.get(name))]


@pytest.mark.parametrize(("name", "said"), SORTED_BY.items())
def test_rows_are_sorted_by_another_column_only_if_an_index_finds_its_values(tmp_path, url, name, said) -> None:
    columns = f'columns.ratio = {{ type = "decimal", sort = true, sort_by = "{name}" }}'
    found = compared(tmp_path / "one.toml", table("every", columns=columns), url)
    assert found == [f"compared.every: columns.ratio.sort_by: {said}"]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_relation_that_cannot_be_served_so_is_named_with_the_remedy(tmp_path, url, text, said) -> None:
    assert compared(tmp_path / "one.toml", text, url) == [said]


@pytest.mark.parametrize("text", RIGHT)
def test_a_relation_with_a_key_that_names_one_row_agrees(tmp_path, url, text) -> None:
    assert compared(tmp_path / "one.toml", text, url) == []


def test_the_path_to_the_tenant_is_compared_too(tmp_path, url) -> None:
    number = 'columns.id = { type = "integer" }'
    every = table("every", columns=number).replace('"account"', '"owner"')
    note = table("keyless", columns='columns.note = { type = "text" }')
    keyless = note.replace('"account"', '{ through = "account", parent = "compared.parts" }')
    checked = check(tmp_path, every + keyless + table("parts", columns=number), url)
    assert (checked.returncode, checked.stdout) == (1, "")
    no_key = "its parent compared.parts has no primary key of one column; name a unique one with `key`"
    assert checked.stderr.splitlines() == [
        "table compared.every: it has no column owner; correct `tenant`",
        f"table compared.keyless: {no_key}",
    ]


def test_a_missing_index_is_named_with_the_command_that_prints_one(tmp_path, url) -> None:
    text = table("every", columns='columns.id = { type = "integer" }').replace('"account"', '"code"')
    assert check(tmp_path, text, url).stderr == (
        "table compared.every: no index begins with code, so its queries read the rows of all tenants; "
        "`tenantgate tools sql compared.every` prints one\n"
    )


def test_a_database_that_does_not_answer_is_one_line_and_exit_code_1(tmp_path) -> None:
    checked = check(tmp_path, table("every"), "postgresql://app_user@127.0.0.1:1/none")
    assert checked.returncode == 1
    (line,) = checked.stderr.splitlines()
    assert line.startswith("tenantgate: the database cannot be reached (")
    assert line.endswith("; check database.url")
