"""Names for tools, arguments and files, made from the database's names, which may contain any character."""

import re
from collections.abc import Container
from typing import Final

_COLUMN_CHARACTERS: Final = 63
_TOOL_CHARACTERS: Final = 64
_MOST_SAME: Final = 10_000


def plain_name(name: str, taken: Container[str] = (), characters: int = _COLUMN_CHARACTERS) -> str:
    """Return a name of ASCII letters, digits and underscores that begins with a letter and is not taken."""
    plain = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"x_{plain}".rstrip("_")
    plain = plain[:characters].rstrip("_")
    return _free(plain, taken, characters)


def tool_name(verb: str, schema: str, table: str, taken: Container[str], *, with_schema: bool) -> str:
    """Return a name like `query_orders`, or `query_shop_orders` where several schemas have a table `orders`."""
    subject = f"{plain_name(schema)}_{plain_name(table)}" if with_schema else plain_name(table)
    return _free(f"{verb}_{subject}"[:_TOOL_CHARACTERS].rstrip("_"), taken, _TOOL_CHARACTERS)


def file_name(name: str, taken: Container[str]) -> str:
    """Return a part of a file name that is unique on every file system and does not make the file hidden."""
    plain = re.sub(r"[^\w.-]", "_", name)
    plain = f"x{plain}" if plain[:1] in {".", "_"} else plain
    return _free(plain, _Folded(taken), _COLUMN_CHARACTERS * 2 + 1)


class _Folded:
    """Compares names without letter case: on some file systems `A` and `a` are the same file."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken: Final = taken

    def __contains__(self, name: object) -> bool:
        return str(name).casefold() in self._taken


def _free(name: str, taken: Container[str], characters: int) -> str:
    if name not in taken:
        return name
    for number in range(2, _MOST_SAME):
        ending = f"_{number}"
        if (other := f"{name[: characters - len(ending)]}{ending}") not in taken:
            return other
    raise ValueError(f"there are too many names like {name}")
