"""The values that a CHECK constraint allows, parsed from PostgreSQL's text of the constraint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

# A cast to one of these types does not change which texts are equal.
_TEXTS: Final = frozenset({"text", "character varying", "varchar"})


def allowed_values(constraint: str, column: str) -> tuple[str, ...] | None:
    """Return the texts that `CHECK (…)` allows in `column`, or None when it is not a plain list of texts.

    `constraint` is the text of pg_get_constraintdef(); in a domain's constraint the column is called VALUE.
    """
    try:
        tokens = Postgres().tokenize(constraint)
    except SqlglotError:
        return None
    reader = _Reader(tokens, column)
    try:
        values = reader.constraint()
    except _OtherError:
        return None
    return tuple(dict.fromkeys(values)) or None


class _OtherError(Exception):
    """The text is not a list of allowed values."""


@dataclass
class _Reader:
    """Parses only the few forms in which PostgreSQL writes a list of values."""

    tokens: Sequence[Token]
    column: str
    place: int = 0

    def constraint(self) -> list[str]:
        """CHECK ( alternatives ), and nothing after it."""
        self._take("CHECK")
        self._take("(")
        values = self._alternatives()
        self._take(")")
        if self.place != len(self.tokens):
            raise _OtherError
        return values

    def _alternatives(self) -> list[str]:
        values = self._term()
        while self._skips("OR"):
            values += self._term()
        return values

    def _term(self) -> list[str]:
        """( alternatives ), column IS NULL, column = 'text' or column = ANY (ARRAY[…])."""
        start = self.place
        try:
            self._operand()
        except _OtherError:
            self.place = start
            self._take("(")
            values = self._alternatives()
            self._take(")")
            return values
        if self._skips("IS"):
            self._take("NULL")
            return []
        self._take("=")
        if self._skips("ANY"):
            self._take("(")
            values = self._array()
            self._take(")")
            return values
        return [self._literal()]

    def _operand(self) -> None:
        """Read the column, in brackets or not, cast to a text or not."""
        if self._skips("("):
            self._operand()
            self._take(")")
        elif not self._is_column():
            raise _OtherError
        else:
            self.place += 1
        while self._skips("::"):
            if self._type() not in _TEXTS:
                raise _OtherError

    def _array(self) -> list[str]:
        if self._skips("("):
            values = self._array()
            self._take(")")
        else:
            self._take("ARRAY")
            self._take("[")
            values = [self._literal()]
            while self._skips(","):
                values.append(self._literal())
            self._take("]")
        while self._skips("::"):
            self._type()
        return values

    def _literal(self) -> str:
        if self._skips("("):
            value = self._literal()
            self._take(")")
        elif self.place < len(self.tokens) and self.tokens[self.place].token_type == TokenType.STRING:
            value = self.tokens[self.place].text
            self.place += 1
        else:
            raise _OtherError
        while self._skips("::"):
            self._type()
        return value

    def _type(self) -> str:
        """Return the name of a type with its length, if any: a length cuts values, so that type is not in _TEXTS."""
        words: list[str] = []
        while self.place < len(self.tokens) and self.tokens[self.place].text not in {")", "]", ",", "=", "::"}:
            words.append(self.tokens[self.place].text)
            self.place += 1
            if words[-1] == "[" or words[-1] == "(":
                words.append(self._until("]" if words[-1] == "[" else ")"))
        return " ".join(words).lower()

    def _until(self, end: str) -> str:
        text = ""
        while not self._skips(end):
            if self.place >= len(self.tokens):
                raise _OtherError
            text += self.tokens[self.place].text
            self.place += 1
        return text

    def _is_column(self) -> bool:
        if self.place >= len(self.tokens):
            return False
        token = self.tokens[self.place]
        if self.column == "value" and token.text == "VALUE":
            return True
        return token.token_type != TokenType.STRING and token.text == self.column

    def _skips(self, text: str) -> bool:
        here = self.place < len(self.tokens) and self.tokens[self.place]
        if not here or here.text.upper() != text or here.token_type == TokenType.STRING:
            return False
        self.place += 1
        return True

    def _take(self, text: str) -> None:
        if not self._skips(text):
            raise _OtherError
