"""A value as PostgreSQL writes it in a text: its place in an order, and the form that the tools show it in."""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from foreign.days import Number, day_of_moment, parse_day, parse_moment

_UNREADABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TEXT_CHARACTERS: Final = 4_000
# JSON beyond this is shown as the beginning of its text.
_JSON_CHARACTERS: Final = 20_000
FLOATS: Final = {"float4", "float8"}
_INTEGERS: Final = {"int2", "int4", "int8"}


@dataclass(frozen=True)
class Kind:
    """The type of a column in the database, under any domains: its name, its scale, the labels of an enum in order."""

    name: str
    scale: int | None = None
    labels: tuple[str, ...] = ()


def lower(text: str) -> str:
    """Lower each character by itself, as PostgreSQL does in the locale C.UTF-8: a dotted capital I becomes an i."""
    return "".join("i" if one == "\u0130" else one.lower() for one in text)


def rank(text: str, kind: Kind) -> Any:
    """Return what sorts and compares as PostgreSQL does; texts in the order of their characters."""
    if kind.labels:
        return kind.labels.index(text)
    match kind.name:
        case "bool":
            return text in {"true", "t"}
        case "date":
            return parse_day(text)
        case "timestamp" | "timestamptz":
            return parse_moment(text)
        case "bpchar":
            return text.rstrip(" ")
        case "uuid":
            return text.lower()
        case name if name in _INTEGERS or name in FLOATS or name in {"numeric", "money"}:
            return number_rank(number(text, kind))
        case _:
            return text


def number(text: str, kind: Kind) -> Decimal:
    """Return the exact value of a number, rounded as its type stores it."""
    if text.lower().endswith("nan") or text.lower().endswith("infinity"):
        return Decimal(text)
    match kind.name:
        case "float4":
            return Decimal(struct.unpack("f", struct.pack("f", float(text)))[0])
        case "float8":
            return Decimal(float(text))
        case _:
            return Decimal(text)


def exact(text: str) -> Decimal:
    """Return the number that its text says, which is what sums add up; a float's text is the shortest that is exact."""
    return Decimal(text)


def number_rank(value: Decimal) -> tuple[bool, Decimal]:
    """Return what sorts like the number: NaN equals itself and is larger than infinity."""
    return (True, Decimal(0)) if value.is_nan() else (False, value)


def shown(value: Any, column: Mapping[str, Any]) -> Any:
    """Return the form in which a tool shows a value of this declared column."""
    if value is None:
        return None
    if column["type"].endswith("[]"):
        return [shown(one, {**column, "type": column["type"][:-2]}) for one in value]
    match column["type"]:
        case "text":
            return cut(value, column.get("max_length", TEXT_CHARACTERS))
        case "integer":
            return int(value)
        case "boolean":
            return value in {"true", "t"}
        case "timestamp":
            return show_moment(value)
        case "json":
            return readable_in(json.loads(value) if len(value) <= _JSON_CHARACTERS else cut(value, _JSON_CHARACTERS))
        case _:
            return value


def cut(text: str, characters: int) -> str:
    """Return a text of at most so many characters, made readable."""
    return readable_in(text if len(text) <= characters else text[: characters - 1] + "…")


def readable_in(value: Any) -> Any:
    """Return a JSON value in whose texts nothing moves a cursor or turns the line around."""
    if isinstance(value, str):
        return _UNREADABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [readable_in(one) for one in value]
    if isinstance(value, dict):
        return {readable_in(name): readable_in(one) for name, one in value.items()}
    return value


def show_moment(text: str) -> str:
    """Return a timestamp in ISO 8601 without fractions; a Z says that it is in UTC.

    What this form does not have, infinity and the years before the first, is shown as PostgreSQL's JSON has it.
    """
    if text.endswith("infinity"):
        return text
    date, time = text.removesuffix(" BC").split(" ")
    zoned = time.endswith("+00")
    if text.endswith(" BC"):
        return f"{date}T{time}:00 BC" if zoned else f"{date}T{time} BC"
    return f"{date}T{time[:8]}{'Z' if zoned else ''}"


def moment_day(text: str, kind: Kind, zone: str) -> Number:
    """Return the day of a date or timestamp; `zone` is meant for timestamps with a time zone alone."""
    if kind.name == "date":
        return parse_day(text)
    return day_of_moment(parse_moment(text), zone if kind.name == "timestamptz" else "UTC")
