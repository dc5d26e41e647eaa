"""Values as PostgreSQL gets them: the types, forms and bytes that psycopg would send."""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer

_UNKNOWN: Final = 0
_SMALLINT: Final = 21
_SMALLINTS: Final = range(-(2**15), 2**15)
_TEXT: Final = 0
_BINARY: Final = 1
_as_smallint: Final = Struct("!h").pack


class Parameters(NamedTuple):
    """The values of one execution, with the object ids of their types and the format of each."""

    values: Sequence[bytes | None]
    types: tuple[int, ...]
    formats: Sequence[int]


def dumped(values: Sequence[object]) -> Parameters:
    """Return the values as they are sent; raises psycopg.DataError for a text that PostgreSQL cannot hold.

    Texts and small numbers, which nearly all values are, take a short way; psycopg converts the others.
    """
    sent: list[bytes | None] = []
    types: list[int] = []
    formats: list[int] = []
    for value in values:
        if type(value) is str:
            if "\0" in value:
                raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
            sent.append(value.encode())
            types.append(_UNKNOWN)
            formats.append(_TEXT)
        elif type(value) is int and value in _SMALLINTS:
            sent.append(_as_smallint(value))
            types.append(_SMALLINT)
            formats.append(_BINARY)
        else:
            return _by_psycopg(values)
    return Parameters(sent, tuple(types), formats)


def _by_psycopg(values: Sequence[object]) -> Parameters:
    transformer = Transformer()
    sent = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
    as_bytes = [None if one is None else bytes(one) for one in sent]
    return Parameters(as_bytes, tuple(transformer.types or ()), list(transformer.formats or ()))
