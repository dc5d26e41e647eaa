"""A declaration as a person would write it in TOML; columns that were left out are comments."""

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, Final, cast

from server.adoption.columns import LeftOut
from server.adoption.declaring import DeclaredTable
from server.adoption.naming import plain_name
from server.catalog.columns import Column
from server.catalog.declarations import Table, Through

_WIDTH: Final = 100
# The order in which a column's keys are easiest to read.
_COLUMN_KEYS: Final = (
    "column",
    "type",
    "values",
    "filter",
    "sort",
    "period",
    "group",
    "measures",
    "max_length",
    "description",
    "filter_description",
)


def toml_of(declared: DeclaredTable, remark: str) -> str:
    """Return the file of one table; `remark` says how its tenant is found."""
    table = declared.table
    lines = [*_comment(remark), "[[table]]", *_table_lines(table), "", "[table.columns]"]
    left_out = [one for one in declared.left_out if one.column not in _shown(table)]
    width = max(len(name) for name in (*table.columns, *(plain_name(one.column) for one in left_out)))
    lines += [f"{name.ljust(width)} = {inline(_column(column))}" for name, column in table.columns.items()]
    if left_out:
        lines += ["", "# Left out. Remove the # in front of a column that may be read; then run adopt with --update."]
        lines += [_left_out_line(one, width) for one in left_out]
    return "\n".join(lines) + "\n"


def inline(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML has JSON's escapes, and also requires one for DEL, which JSON does not escape.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return f"{{ {', '.join(f'{key} = {inline(one)}' for key, one in pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, cast('list[Any]', value)))}]"
    return str(value)


def _table_lines(table: Table) -> Iterator[str]:
    yield f"name = {inline(table.name)}"
    if isinstance(table.tenant, Through):
        yield f"tenant = {inline(table.tenant.model_dump(exclude_none=True))}"
    elif table.tenant is not None:
        yield f"tenant = {inline(table.tenant)}"
    if table.shared:
        yield "shared = true"
    yield f"scope = {inline(table.scope)}"
    if table.description:
        yield f"description = {inline(table.description)}"
    if table.key:
        yield f"key = {inline(table.key)}"
    if table.rows:
        yield f"rows = {inline(table.rows)}"
    if table.brief and (table.list or table.summary):
        yield "brief = true  # without it, the tools describe each argument and the form of their results"
    for name, tool in (("list", table.list), ("summary", table.summary)):
        if tool is not None:
            yield f"{name} = {inline(tool.model_dump(exclude_none=True, exclude_defaults=True))}"


def _column(column: Column) -> dict[str, Any]:
    said = column.model_dump(exclude_defaults=True, exclude_none=True)
    return {"type": column.type} | {key: said[key] for key in _COLUMN_KEYS if key in said}


def _shown(table: Table) -> set[str]:
    return {table.column_of(name) for name in table.columns}


def _left_out_line(one: LeftOut, width: int) -> str:
    reason = " ".join(one.reason.split())
    name = plain_name(one.column)
    if one.type is None:
        return f"# {' '.join(one.column.split())}: {reason}"
    said = {"column": one.column} if name != one.column else {}
    return f"# {name.ljust(width)} = {inline({**said, 'type': one.type})}  # {reason}"


def _comment(text: str) -> list[str]:
    """Return a text as comment lines; control characters become blanks, so that no name can end the comment."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return [f"# {line}" for line in wrap(printable, _WIDTH)]
