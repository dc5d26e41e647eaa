"""Tables and declarations made by chance: any types, any keys, any names, and whatever the models let a column say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from foreign.kinds import KINDS, MOODS, SHORT, SHOWN_ONLY
from foreign.words import Chance

TENANTS: Final = ("org_A", "org_a", "org-B.1", "nobody")
_NAMES: Final = [
    "a b",
    "Select",
    "order",
    "x",
    "Größe",
    "it's",
    'quo"te',
    "UPPER",
    "%s",
    "$1",
    ":x",
    "t",
    "r",
    "key",
    "count",
]
_ENDINGS: Final = ["", "", "_at", "_on", "_from", "X"]
_TIMEZONES: Final = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Europe/Berlin"]
_TENANT_TYPES: Final = ["text", "varchar(64)", 'text COLLATE "C"', '"Wide".code']
_KEYS: Final[dict[str, list[Any]]] = {
    "bigint": [2**53 + number if number % 5 == 0 else number - 50 for number in range(400)],
    "uuid": [f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-000000000000" for number in range(400)],
    "varchar(80)": [f"{text[:30]}{number}-{place}" for number in range(8) for place, text in enumerate(SHORT)],
}


_KEY_KINDS: Final = {"bigint": "integer", "uuid": "uuid", "varchar(80)": "text"}
Columns = list[tuple[str, tuple[str, str, list[Any]]]]


@dataclass(frozen=True)
class WideTable:
    """One generated table: how to make it, its rows, the type of its column `id`, and its declaration."""

    name: str
    sql: str
    rows: list[dict[str, Any]]
    key_type: str
    declaration: dict[str, Any]


def wide_tables(chance: Chance, count: int, rows: int) -> list[WideTable]:
    """Return so many tables with so many rows; some of them are children and grandchildren of earlier ones."""
    found: list[WideTable] = []
    for number in range(count):
        parents = [one for one in found if one.declaration["key"] == ["id"]]
        found.append(_table(chance, number, rows, chance.one(parents, 0.6) if parents else None))
    return found


def _table(chance: Chance, number: int, count: int, parent: WideTable | None) -> WideTable:
    name = f"{chance.choice(['t', 'Mixed ', 'quo' + chr(34) + 'ted '])}{number}"
    relation = f'"Wide".{_quoted(name)}'
    columns = [(f"{chance.choice(_NAMES)}{place}", chance.choice(KINDS)) for place in range(chance.randint(4, 9))]
    required = {column for column, _ in columns if chance.random() < 0.3}
    key_type, key = chance.choice([*_KEYS]), chance.choice(["id", "id", "tenant, id"] if parent is None else ["id"])
    first, first_type = ("tenant", f"{chance.choice(_TENANT_TYPES)} NOT NULL")
    if parent is not None:
        first, first_type = "parent_id", parent.key_type
    lines = [
        f"{first} {first_type}",
        f"id {key_type} NOT NULL",
        *(f"{_quoted(column)} {kind[0]}{' NOT NULL' * (column in required)}" for column, kind in columns),
        f"{'PRIMARY KEY' if chance.random() < 0.7 else 'UNIQUE'} ({key})",
    ]
    text = f"CREATE TABLE {relation} ({', '.join(lines)}); CREATE INDEX ON {relation} ({first})"
    rows = [
        {
            first: TENANTS[place % 3] if parent is None else chance.one([one["id"] for one in parent.rows], 0.1),
            "id": one,
            **{column: _value(chance, kind, 0 if column in required else 0.2) for column, kind in columns},
        }
        for place, one in enumerate(chance.sample(_KEYS[key_type], count))
    ]
    owner = "tenant" if parent is None else {"through": "parent_id", "parent": parent.name, "key": "id"}
    declared = {
        "name": f"Wide.{name}",
        "tenant": owner,
        "key": key.split(", "),
        **_declaration(
            chance, number, [*columns, *chance.choice([[], [("id", (key_type, _KEY_KINDS[key_type], []))]])]
        ),
    }
    return WideTable(f"Wide.{name}", text, rows, key_type, declared)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(chance: Chance, kind: tuple[str, str, list[Any]], null: float) -> Any:
    return chance.some(kind[2], null) if kind[1].endswith("[]") else chance.one(kind[2], null)


def _declaration(chance: Chance, number: int, columns: Columns) -> dict[str, Any]:
    """Return what a declaration says of these columns and of the two tools."""
    declared = {
        f"c{place}{chance.choice(_ENDINGS)}": _column(chance, column, kind[0], kind[1])
        for place, (column, kind) in enumerate(columns)
    }
    days = [one for one in declared.values() if one["type"] in {"date", "timestamp"} and one.get("filter") == "range"]
    if days:
        chance.choice(days)["period"] = True
    sorts = [name for name, column in declared.items() if column.get("sort")]
    listing: dict[str, Any] = {"tool": f"list_{number}", "limit": 7, "max_limit": chance.choice([7, 50])}
    if sorts and chance.random() < 0.7:
        listing["sort"] = chance.choice(["", "-"]) + chance.choice(sorts)
    return {
        "scope": f"wide:{number}",
        "rows": "found",
        "timezone": chance.choice(_TIMEZONES),
        "list": listing,
        "summary": {"tool": f"count_{number}", "max_groups": chance.choice([3, 500])},
        "columns": declared,
    }


def _column(chance: Chance, column: str, kind: str, declared_type: str) -> dict[str, Any]:
    """Return whatever the models let a column of this type say."""
    said: dict[str, Any] = {"type": declared_type, "column": column}
    moment, number = declared_type in {"date", "timestamp"}, declared_type in {"integer", "decimal"}
    if declared_type in {"text", "text[]"}:
        # A text that is sorted by has to fit into a cursor.
        said["max_length"] = chance.choice([2, 20, 60])
    # What is no text has one that can be shown, and nothing more.
    if declared_type == "json" or declared_type.endswith("[]") or kind in SHOWN_ONLY:
        return said
    if kind.endswith("mood"):
        said["values"] = MOODS
    filters: list[Any] = [False, True]
    if moment or number:
        filters += ["range", "range"]
    elif declared_type == "text" and not kind.endswith("mood"):
        filters.append("contains")
    said |= {"filter": chance.choice(filters), "sort": chance.random() < 0.7}
    if chance.random() < 0.5:
        lengths = chance.sample(["day", "week", "month", "year"], chance.randint(1, 4))
        said["group"] = lengths if declared_type == "timestamp" else chance.choice([True, lengths]) if moment else True
    if number:
        said["measures"] = chance.sample(["total", "average", "largest", "smallest"], chance.randint(0, 4))
    if kind == "money":
        # Its order would need a text that depends on the settings of a session.
        said |= {"sort": False, "group": False}
    return {name: value for name, value in said.items() if value not in (False, [])}


def toml_of(tables: Sequence[WideTable]) -> str:
    """Return the file of the catalog that declares the tables."""
    return "\n".join(
        "[[table]]\n" + "\n".join(f"{name} = {_toml(value)}" for name, value in one.declaration.items())
        for one in tables
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_toml(str(name))} = {_toml(one)}" for name, one in cast("Mapping[Any, Any]", value).items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in cast("list[Any]", value)) + "]"
    return json.dumps(value, ensure_ascii=False)
