"""Awkward values that applications really store, for the generators of rows."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

# Names, some of which look like each other.
# ruff: noqa: RUF001
TEXTS: Final = [
    *(
        "Ann Smith",
        "ANN SMITH",
        "ann smith",
        "Zoë",
        "Zoe\u0308",
        "O'Brien; DROP TABLE x",
        'quote " \\ back',
        "100% sure",
    ),
    *(
        "under_score",
        "İpek Işık",
        "ıssız",
        "Straße",
        "STRASSE",
        "ΣΊΣΥΦΟΣ",
        "σίσυφος",
        "Łódź",
        "日本 太郎",
        "😀 Emoji",
        "é",
    ),
    *(
        "",
        " ",
        "  spaces  ",
        "tab\there",
        "line\nbreak",
        "bell\x07 \x1b[31mred",
        "right\u202eleft",
        "\u2066isolate\u2069",
    ),
    *(
        "null",
        "NULL",
        "true",
        "-1",
        "{}",
        "[1]",
        "$1",
        ":since",
        "%s",
        "<b>",
        "\u2028separator",
        "\ufeffmark",
        "\x7f\x9b",
    ),
    *("x" * 59, "x" * 60, "x" * 61, "x" * 4_000, "x" * 4_001, "😀" * 70, "ann" * 1_500, "a", "A", "b", "Å", "A\u030a"),
]
LABELS: Final = ["alpha", "Alpha", "beta", "ALPHA", "gamma δ", "10", "9", "-", "a b"]
NUMERICS: Final = [
    "0",
    "0.0",
    "-0.5",
    "1.5",
    "1.50",
    "10",
    "9",
    "1e-10",
    "123456789012345678901234567890.125",
    "0.333333333",
]
SPECIALS: Final = ["NaN", "Infinity", "-Infinity"]
# Sums of these are exact in a float, in whatever order they are added.
EXACT_FLOATS: Final = [0, 0.125, -0.125, 2.5, 1024.75, -7, 33, 1e6, 0.5, 12.25]
FLOATS: Final = [0.1, 0.2, 0.30000000000000004, 1e308, -1e308, 5e-324, 1e15, 1e16, 123456.789, -0.0, 0.0, 1 / 3]
INTEGERS: Final = [0, 1, -1, 7, 10, 9, 2**31 - 1, -(2**31)]
BIG_INTEGERS: Final = [0, 1, 2**53, 2**53 + 1, 2**53 + 3, -(2**53) - 1, 2**63 - 1, -(2**63), 42]
DATES: Final = [
    *("2025-12-28", "2025-12-29", "2026-01-01", "2026-01-04", "2026-01-05", "2024-02-29", "1999-12-31", "2000-01-01"),
    *(
        "infinity",
        "-infinity",
        "0044-03-15 BC",
        "0001-12-31 BC",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "20000-02-29",
    ),
]
JSONS: Final[list[Any]] = [
    *({}, [], None, "text", 12345678901234567890, 1.5, True, {"b": 1, "a": [None, {"é": "\u202e"}]}, "\x07bell"),
    *({"amount": 0.1, "deep": {"deeper": {"deepest": "😀"}}}, [[1, 2], ["x"]], "null", {"": ""}),
]


class Chance(random.Random):
    """A seeded random generator that knows what is awkward."""

    def one(self, values: Sequence[Any], null: float = 0.12) -> Any:
        """Return one of the values, or None as often as `null` says."""
        return None if self.random() < null else self.choice(values)

    def some(self, values: Sequence[Any], null: float = 0.12) -> Any:
        """Return a list of up to four of the values, None among them, or None for all."""
        return self.one([[self.one(values) for _ in range(self.choice([0, 1, 2, 4]))]], null)

    def identifier(self) -> str:
        """Return a UUID."""
        return str(UUID(int=self.getrandbits(128), version=4))

    def day(self) -> str:
        """Return a date: near today, at an edge of the calendar, or outside of Python's."""
        if self.random() < 0.4:
            return self.choice(DATES)
        return (
            datetime.now(UTC).date() + timedelta(days=self.choice([0, -1, -6, -7, -8, -29, -30, -31, -365, 1, 40]))
        ).isoformat()

    def moment(self, zone: str = "+00") -> str:
        """Return a timestamp, most often at an edge: of a day, a week, a month, a year, or of a microsecond."""
        day = self.day()
        if day.endswith("infinity"):
            return day
        time = self.choice(
            ["00:00:00", "23:59:59.999999", "12:00:00.5", "03:30:00", "05:00:00.000001", "22:59:59", "23:00:00"]
        )
        date, _, era = day.partition(" ")
        return f"{date} {time}{zone}{' BC' if era else ''}"
