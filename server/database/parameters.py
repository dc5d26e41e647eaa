"""Values as they are sent to PostgreSQL: the same types, formats and bytes as from psycopg."""

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
    """The values of one execution, with the object id of each type and each format."""

    values: Sequence[bytes | None]
    types: tuple[int, ...]
    formats: Sequence[int]


def dumped(values: Sequence[object]) -> Parameters:
    """Return the values in the form for sending; raises psycopg.DataError for a text that PostgreSQL cannot store.

    Nearly all values are texts and small numbers, which are converted here, faster; psycopg converts the others.
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
