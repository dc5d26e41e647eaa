"""Rows out of the database's JSON, with every text in them made readable."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from server.catalog.columns import Column
from server.catalog.declarations import ResultColumn
from server.catalog.texts import readable, readable_in
from server.database.statement import Row, read_rows


def rows_reader(columns: Mapping[str, Column | ResultColumn]) -> Callable[[bytes], list[Row]]:
    """Return the function that converts the JSON array of a statement to rows, their declared texts made readable."""
    texts = tuple(name for name, column in columns.items() if column.type == "text")
    nested = tuple(name for name, column in columns.items() if column.type == "json" or column.type.endswith("[]"))

    def read(text: bytes) -> list[Row]:
        rows = read_rows(text)
        # JSON escapes control characters, all but DEL, and the others that are made readable are beyond ASCII: three
        # quick looks at the whole text spare a look at each value.
        if not text.isascii() or b"\\" in text or b"\x7f" in text:
            _make_readable(rows, texts, nested)
        return rows

    return read


def _make_readable(rows: Iterable[Row], texts: tuple[str, ...], nested: tuple[str, ...]) -> None:
    for row in rows:
        for name in texts:
            value: Any = row[name]
            if value is not None and not value.isprintable():
                row[name] = readable(value)
        for name in nested:
            row[name] = readable_in(row[name])
