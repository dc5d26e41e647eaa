"""Rows that are spliced as PostgreSQL wrote them are, byte for byte, those that are parsed, judged and written anew."""

import json
import random
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from pydantic_core import to_json

from server.catalog.declarations import ResultColumn
from server.catalog.expressions import shown_as
from server.catalog.rows import Page, is_readable, page_reader
from server.catalog.texts import readable, readable_in

# Nine mixtures have 2,700 rows.
ROWS, PAGE = 300, 20
PLAIN = ["", "x", "O'Brien", 'quote "', "back\\slash", "\\n", "tab\there", "line\nbreak", "/", "<&>", "{}", "]"]
BEYOND = ["Straße", "naïve café", "日本", "😀", "…", "\u2028", "\u00a0", "\ufeff", "x" * 300, "Łódź — “quoted”"]
CHANGED = ["cr\r\nlf", "\x0b\x0c", "bell\x07", "\x1b[31m", "del\x7f", "c1\x9b", "\u202eleft", "\u2066isolate\u2069"]
# What only looks like an escape of a control character.
ALARMS = ["\\b", "a\\\\f", "\\u0041"]
TEXTS = [*PLAIN, *BEYOND, *CHANGED, *ALARMS, "\b"]
# Of each declared type: what PostgreSQL is given.
VALUES: dict[str, list[str | None]] = {
    "text": [None, *PLAIN],
    "integer": [None, "0", "-1", "9223372036854775807", "123456789012345678901234567890", "12.5"],
    "decimal": [None, "0", "-0.10", "1E+30", "NaN", "12.340"],
    "boolean": [None, "true", "false"],
    "date": [None, "2026-02-28", "0001-01-01", "9999-12-31", "infinity", "0044-03-15 BC"],
    "timestamp": [None, "2026-02-28 23:59:59.999999+00", "infinity", "0044-03-15 BC", "10000-01-01"],
    "uuid": [None, "bbb45cdb-87b1-46e7-88e4-feac1c8fefce"],
    "json": [None, '{"a": [1.0, 1e2, null], "b": {"c": "x\\u0007"}}', "[]", '"\\u202e"', "1.50", '{"\\r": 1}'],
    "text[]": [None, "{}", '{a,NULL,"b,c"}', '{"\x07"}'],
    "integer[]": ["{1,NULL}"],
    "decimal[]": ["{1.50,NaN}"],
    "boolean[]": ["{t,f,NULL}"],
    "date[]": ["{2026-01-01}"],
    "timestamp[]": ["{2026-01-01 00:00+00}"],
    "uuid[]": [None, "{bbb45cdb-87b1-46e7-88e4-feac1c8fefce}"],
}
GIVEN: dict[str, LiteralString] = {
    "integer": "numeric",
    "decimal": "numeric",
    "timestamp": "timestamptz",
    "json": "jsonb",
}
SCALARS = [kind for kind in VALUES if kind != "json" and not kind.endswith("[]")]


def slow(text: bytes, columns: dict[str, ResultColumn]) -> list[bytes]:
    """The twin: every value is looked at, and every row is written by Python."""
    rows: list[dict[str, Any]] = json.loads(text)
    for row in rows:
        for name, column in columns.items():
            if column.type == "text" and row[name] is not None:
                row[name] = readable(row[name])
            elif column.type == "json" or column.type.endswith("[]"):
                row[name] = readable_in(row[name])
    return [to_json(row) for row in rows]


def written(connection: psycopg.Connection, columns: dict[str, ResultColumn], rows: list[list[str | None]]) -> bytes:
    """Return the JSON that PostgreSQL writes of the rows, each value shown as a tool shows it."""
    kinds = [column.type for column in columns.values()]
    given = [
        sql.SQL("{}[]" if kind.endswith("[]") else "{}").format(
            sql.SQL(GIVEN.get(kind.removesuffix("[]"), kind.removesuffix("[]")))  # type: ignore[arg-type]
        )
        for kind in kinds
    ]
    lines = [
        sql.SQL("({})").format(
            sql.SQL(", ").join(
                sql.SQL("{}::{}").format(sql.Literal(one), kind) for one, kind in zip(row, given, strict=True)
            )
        )
        for row in rows
    ]
    shown = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(shown_as(sql.Identifier("r", name), column.type, 200), sql.Identifier(name))
        for name, column in columns.items()
    )
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("SELECT coalesce(json_agg(s)::text, '[]') FROM (SELECT {} FROM (VALUES {}) AS r ({})) AS s").format(
        shown, sql.SQL(", ").join(lines), names
    )
    ((text,),) = connection.execute(query).fetchall()
    return text.encode()


@pytest.mark.parametrize("kinds", [["text"], SCALARS, list(VALUES)], ids=["texts", "scalars", "every type"])
@pytest.mark.parametrize("texts", [PLAIN, [*PLAIN, *BEYOND], TEXTS], ids=["plain", "beyond ASCII", "changed"])
def test_r243_rows_are_the_same_bytes_in_both_ways(login: psycopg.Connection, kinds, texts) -> None:
    """R245: random rows of each mixture."""
    chance = random.Random(243)
    columns = {f"c{place}": ResultColumn.model_validate({"type": kind}) for place, kind in enumerate([*kinds, "text"])}
    read = page_reader(columns)
    values = VALUES | {"text": [None, *texts]}
    spliced = 0
    for _ in range(ROWS // PAGE):
        rows = [[chance.choice(values[column.type]) for column in columns.values()] for _ in range(PAGE)]
        text = written(login, columns, rows)
        spliced += is_readable(text)
        assert list(read(text)) == slow(text, columns)
    assert spliced == ROWS // PAGE or texts is TEXTS or kinds == list(VALUES)
    assert texts is not TEXTS or spliced < ROWS // PAGE


def test_a_page_without_rows_has_none() -> None:
    assert page_reader({"a": ResultColumn(type="text")})(b"[]", None, b"x") == Page()
    assert page_reader({"a": ResultColumn(type="json")})(b"[]") == Page()


CODES = [*range(1, 0x20), *range(0x7F, 0xA0), *range(0x2020, 0x2070)]


def test_the_quick_looks_find_every_character_that_is_changed() -> None:
    for code in CODES:
        text = f"a{chr(code)}b"
        # As PostgreSQL writes it: beyond ASCII nothing is escaped, and DEL is not either.
        written_so = json.dumps(text, ensure_ascii=False).encode()
        assert is_readable(written_so) == (readable(text) == text), hex(code)
