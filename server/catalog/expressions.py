"""SQL expressions for one value: how each type is shown, written into a cursor, and grouped."""

from typing import Final, LiteralString, cast

from psycopg import sql

from server.catalog.columns import Bucket
from server.catalog.facts import ColumnFacts

SQL = sql.SQL
Composable = sql.Composable
# Of a longer JSON value, only the beginning of its text is shown.
_JSON_CHARACTERS: Final = 20_000
_DAYS: Final = frozenset({"date", "timestamp with time zone", "timestamp without time zone"})
_FORMATS: Final[dict[Bucket, LiteralString]] = {
    "day": "YYYY-MM-DD",
    "week": 'IYYY-"W"IW',
    "month": "YYYY-MM",
    "year": "YYYY",
}


def placeholder(number: int) -> sql.SQL:
    """Return `$number`."""
    return SQL(cast("LiteralString", f"${number:d}"))


def column_of(name: str) -> sql.Identifier:
    """Return a column of the relation, whose alias is `t` in every statement."""
    return sql.Identifier("t", name)


def shown(reference: Composable, kind: str, facts: ColumnFacts, characters: int) -> Composable:
    """Return a value in the form of an answer: texts cut at `characters`, decimals and timestamps as text."""
    if kind.endswith("[]"):
        return _shown_array(reference, kind.removesuffix("[]"), facts.base.removesuffix("[]"), characters)
    return _shown_scalar(reference, kind, facts.base if facts.kind != "e" else "enum", characters)


def _shown_array(reference: Composable, kind: str, base: str, characters: int) -> Composable:
    element = _shown_scalar(SQL("e.v"), kind, base, characters)
    return SQL(
        "CASE WHEN {} IS NOT NULL THEN (SELECT coalesce(json_agg({} ORDER BY e.place), '[]') "
        "FROM unnest({}) WITH ORDINALITY AS e (v, place)) END"
    ).format(reference, element, reference)


def _shown_scalar(reference: Composable, kind: str, base: str, characters: int) -> Composable:
    match kind:
        case "text":
            text = reference if base in {"text", "character varying"} else SQL("{}::text").format(reference)
            return SQL("CASE WHEN length({}) > {} THEN left({}, {}) || '…' ELSE {} END").format(
                text, sql.Literal(characters), text, sql.Literal(characters - 1), text
            )
        case "decimal":
            number = SQL("{}::numeric").format(reference) if base == "money" else reference
            return SQL("{}::text").format(number)
        case "date":
            return SQL("to_json({}) #>> '{{}}'").format(reference)
        case "timestamp":
            return _moment(reference, base)
        case "json":
            return SQL(
                "CASE WHEN length({}::text) > {} THEN to_json(left({}::text, {}) || '…') ELSE {}::json END"
            ).format(reference, sql.Literal(_JSON_CHARACTERS), reference, sql.Literal(_JSON_CHARACTERS - 1), reference)
        case _:
            return reference


def _moment(reference: Composable, base: str) -> Composable:
    """Return a timestamp to the second: in UTC with a Z, or unchanged if its type has no time zone."""
    zoned = base == "timestamp with time zone"
    local = SQL("{} AT TIME ZONE 'UTC'").format(reference) if zoned else reference
    # JSON's form of a moment, without its fraction, takes less time than to_char. Values without such a text (infinity,
    # years before 1) are shown as in PostgreSQL's JSON.
    return SQL(
        "CASE WHEN {} >= '0001-01-01' AND isfinite({}) THEN split_part(to_json({}) #>> '{{}}', '.', 1) || {} "
        "ELSE to_json({}) #>> '{{}}' END"
    ).format(reference, reference, local, sql.Literal("Z" if zoned else ""), reference)


def position_of(reference: Composable, facts: ColumnFacts) -> Composable:
    """Return the exact text of a value, which PostgreSQL reads back as the same value under all settings."""
    if facts.base in _DAYS:
        return SQL("to_json({}) #>> '{{}}'").format(reference)
    return SQL("{}::text").format(reference)


def bucketed(reference: Composable, facts: ColumnFacts, bucket: Bucket | None, zone: str) -> Composable:
    """Return the key of a value's group: its text, or for times the day, ISO week, month or year."""
    if facts.base not in _DAYS:
        return SQL("{}::text").format(reference)
    local: Composable = reference
    if facts.base == "timestamp with time zone":
        local = SQL("({} AT TIME ZONE {})").format(reference, sql.Literal(zone))
    return SQL(
        "CASE WHEN isfinite({}) THEN to_char({}, {}) || CASE WHEN {} < '0001-01-01' THEN ' BC' ELSE '' END "
        "ELSE {}::text END"
    ).format(local, local, sql.Literal(_FORMATS[bucket or "day"]), local, local)


# The types for results of SQL tools: the cast before the value is shown, and the name of the type after it.
_RESULTS: Final[dict[str, tuple[LiteralString, str]]] = {
    "text": ("text", "text"),
    # numeric, because a sum of integers can exceed bigint; rounding removes the decimal point.
    "integer": ("numeric", "integer"),
    "decimal": ("text", "numeric"),
    "boolean": ("boolean", "boolean"),
    "date": ("date", "date"),
    "timestamp": ("timestamptz", "timestamp with time zone"),
    "uuid": ("uuid", "uuid"),
    "json": ("jsonb", "jsonb"),
}


def shown_as(reference: Composable, kind: str, characters: int) -> Composable:
    """Return a value of any type as a result of the declared type `kind`."""
    scalar = kind.removesuffix("[]")
    cast_to, base = _RESULTS[scalar]
    if kind.endswith("[]"):
        converted = SQL("{}::{}[]").format(reference, SQL(cast_to))
        return _shown_array(converted, scalar, base, characters)
    if scalar == "timestamp":
        # Only the database knows which of the two timestamp types it is.
        return SQL("CASE WHEN pg_typeof({}) = 'timestamp'::regtype THEN {} ELSE {} END").format(
            reference,
            _moment(SQL("{}::timestamp").format(reference), "timestamp without time zone"),
            _moment(SQL("{}::timestamptz").format(reference), base),
        )
    if scalar == "json":
        return _shown_scalar(SQL("to_json({})").format(reference), "json", base, characters)
    if scalar == "integer":
        return SQL("round({}::numeric)").format(reference)
    return _shown_scalar(SQL("{}::{}").format(reference, SQL(cast_to)), kind, base, characters)
