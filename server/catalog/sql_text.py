"""The SELECT of a SQL tool: find and number its named parameters, and refuse anything but one SELECT.

sqlglot's tokenizer only gives positions: the text itself is sent as the operator wrote it.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from psycopg import sql
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from server.catalog.declarations import ParameterType

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES: Final[Mapping[ParameterType, LiteralString]] = {
    "text": "text",
    "integer": "bigint",
    "decimal": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
    "uuid": "uuid",
    "text[]": "text[]",
    "integer[]": "bigint[]",
    "uuid[]": "uuid[]",
}


@dataclass(frozen=True, slots=True)
class SqlText:
    """A statement in pieces: the parameter `names[n]` is between `pieces[n]` and `pieces[n + 1]`."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]

    def composed(self, types: Mapping[str, ParameterType]) -> sql.Composed:
        """Return the text with `($n::type)` in place of each name; n is the name's place in `types`.

        With the type, PostgreSQL need not guess; with the blanks, a parameter does not join a word next to it.
        """
        numbers = {name: number for number, name in enumerate(types, 1)}
        parts: list[sql.Composable] = [sql.SQL(cast("LiteralString", self.pieces[0]))]
        for name, piece in zip(self.names, self.pieces[1:], strict=True):
            parts.append(sql.SQL(cast("LiteralString", f" (${numbers[name]:d}::{_TYPES[types[name]]}) ")))
            parts.append(sql.SQL(cast("LiteralString", piece)))
        return sql.Composed(parts)


def read_sql(text: str, declared: Collection[str]) -> SqlText:
    """Return the statement in pieces; raises ValueError with the mistake and the remedy."""
    try:
        tokens = Postgres().tokenize(text)
    except TokenError as error:
        raise ValueError(f"is not SQL: {str(error).splitlines()[0]}; correct it") from None
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        text = text[: tokens.pop().start]
    if not tokens or tokens[0].text.upper() not in {"SELECT", "WITH", "VALUES", "("}:
        raise ValueError("must be one SELECT; it starts with another word")
    names: list[str] = []
    pieces: list[str] = []
    done = 0
    for place, token in enumerate(tokens):
        _refuse(token, tokens, place)
        name = _name_after(text, tokens, place)
        if name is None:
            continue
        if name not in declared:
            raise ValueError(
                f":{name} is not declared; add it under parameters, or, for a slice, put a blank after the colon"
            )
        pieces.append(text[done : token.start])
        names.append(name)
        done = tokens[place + 1].end + 1
    if unused := [name for name in declared if name not in names]:
        raise ValueError(f"the parameter {unused[0]} is declared and not used; write :{unused[0]} or remove it")
    return SqlText((*pieces, text[done:]), tuple(names))


def _refuse(token: Token, tokens: Sequence[Token], place: int) -> None:
    if token.token_type is TokenType.SEMICOLON:
        raise ValueError("must be one statement; remove what follows the semicolon")
    # The tokenizer also reads the operator @ (absolute value) as the beginning of a parameter.
    if token.token_type is TokenType.PARAMETER and token.text == "$" and place + 1 < len(tokens):
        raise ValueError(f"must not number its parameters (${tokens[place + 1].text}); declare them and write :name")


def _name_after(text: str, tokens: Sequence[Token], place: int) -> str | None:
    """Return the name directly after a colon, such as :since; None for every other token."""
    token = tokens[place]
    if token.token_type is not TokenType.COLON or place + 1 == len(tokens):
        return None
    following = tokens[place + 1]
    word = text[following.start : following.end + 1]
    return word if following.start == token.end + 1 and _NAME.fullmatch(word) else None
