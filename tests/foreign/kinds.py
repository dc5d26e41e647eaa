"""The types of PostgreSQL that generated tables have, each with the declared type and awkward values."""

from typing import Any, Final

from foreign.words import (
    BIG_INTEGERS,
    DATES,
    EXACT_FLOATS,
    FLOATS,
    INTEGERS,
    JSONS,
    LABELS,
    NUMERICS,
    SPECIALS,
    TEXTS,
)

TYPES: Final = """
CREATE SCHEMA "Wide";
CREATE TYPE "Wide".mood AS ENUM ('sad', 'OK', 'happy', 'äh');
CREATE DOMAIN "Wide".code AS varchar(40);
CREATE DOMAIN "Wide".amount AS numeric(10, 3);
CREATE DOMAIN "Wide".small AS smallint CHECK (VALUE < 30000);
CREATE DOMAIN "Wide".smaller AS "Wide".small CHECK (VALUE > -30000);
"""
MOODS: Final = ["sad", "OK", "happy", "äh"]
SHORT: Final = [text for text in TEXTS if len(text) <= 60]
_SMALL: Final = [0, 1, -1, 7, 10, 9, 29999, -29999]
_UUIDS: Final = [f"{digit * 8}-0000-4000-8000-00000000000{digit}" for digit in "0123456789abcdef"]
_MOMENTS: Final = [
    f"{date.partition(' ')[0]} {time}{' BC' if date.endswith('BC') else ''}" if "infinity" not in date else date
    for date in DATES
    for time in ("00:00:00", "23:59:59.999999", "12:00:00.5")
]
# The type in the database, the declared type, and values.
KINDS: Final[list[tuple[str, str, list[Any]]]] = [
    ("text", "text", [*TEXTS]),
    ("text", "text", SHORT),
    ("varchar(60)", "text", SHORT),
    ("char(8)", "text", ["a", "A", "ab", "", "  x", "12345678", "ä"]),
    ('"Wide".code', "text", LABELS),
    ('"Wide".mood', "text", MOODS),
    ("smallint", "integer", _SMALL),
    ("integer", "integer", INTEGERS),
    ("bigint", "integer", BIG_INTEGERS),
    ('"Wide".smaller', "integer", _SMALL),
    ("numeric", "decimal", [*NUMERICS, *SPECIALS]),
    ("numeric(12, 2)", "decimal", ["0", "-0.01", "0.005", "9999999999.99", "12.5", "NaN", "12.50"]),
    ("numeric(6, 0)", "decimal", ["0", "1", "-1", "999999"]),
    ('"Wide".amount', "decimal", ["0", "0.0005", "1.2345", "-9999999.999"]),
    ("real", "decimal", [0.1, 0.5, 16777216, 1e-45, -0.0, *SPECIALS]),
    ("double precision", "decimal", [*FLOATS, *SPECIALS]),
    ("double precision", "decimal", EXACT_FLOATS),
    ("money", "decimal", ["0", "-1.50", "12.34", "12.34", "92233720368547758.07"]),
    ("boolean", "boolean", [True, False]),
    ("date", "date", DATES),
    ("timestamp with time zone", "timestamp", _MOMENTS),
    ("timestamp without time zone", "timestamp", _MOMENTS),
    ("timestamp(0) with time zone", "timestamp", _MOMENTS),
    ("uuid", "uuid", _UUIDS),
    ("json", "json", [one for one in JSONS if one is not None]),
    ("jsonb", "json", [one for one in JSONS if one is not None]),
    ("interval", "text", ["1 day", "-00:00:01", "1 year 2 mons"]),
    ("inet", "text", ["10.0.0.0/8", "::1"]),
    ("bytea", "text", ["\\x00ff", "\\x"]),
    ("time without time zone", "text", ["24:00", "12:00:00.5"]),
    ("text[]", "text[]", SHORT),
    ('"Wide".mood[]', "text[]", MOODS),
    ("varchar(60)[]", "text[]", SHORT),
    ("integer[]", "integer[]", INTEGERS),
    ("bigint[]", "integer[]", BIG_INTEGERS),
    ("numeric[]", "decimal[]", [*NUMERICS, *SPECIALS]),
    ("boolean[]", "boolean[]", [True, False]),
    ("date[]", "date[]", DATES),
    ("timestamp with time zone[]", "timestamp[]", _MOMENTS),
    ("uuid[]", "uuid[]", _UUIDS),
    # A list in a list would be a second dimension.
    ("jsonb[]", "json[]", [one for one in JSONS if one is not None and not isinstance(one, list)]),
]
# Types whose values have no form of their own in an answer, but a text.
SHOWN_ONLY: Final = {"interval", "inet", "bytea", "time without time zone"}
