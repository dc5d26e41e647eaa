"""What one call requested and read: names, counts and digests, never an argument's value or a row."""

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_json

from server.database.context_keys import ContextKey
from server.derived_keys import derived

# Of a SHA-256, in hexadecimal: enough that nobody finds a second text with the same digest.
DIGEST_CHARACTERS: Final = 32
# Further ones are only counted.
MOST_NAMED: Final = 20
# Longer arguments are rarely the same twice.
_USUAL_BYTES: Final = 128
_USUAL_KEPT: Final = 256
_PURPOSE: Final = b"tenantgate audit arguments"


def digest_of(text: bytes) -> str:
    """Return the first half of the SHA-256 of `text`, in hexadecimal."""
    return hashlib.sha256(text).hexdigest()[:DIGEST_CHARACTERS]


class ArgumentDigests:
    """Keyed digests of arguments: equal arguments give equal digests, and only the key holder can test a guess."""

    def __init__(self, keys: Sequence[ContextKey]) -> None:
        """Derive a key from the first context key; without a context key there are no digests."""
        self._kid: Final = keys[0].kid if keys else ""
        self._key: Final = hmac.new(derived(keys[0].secret, _PURPOSE), digestmod="sha256") if keys else None
        # Most calls of a tool have one of few sets of arguments.
        self._usual: Final = lru_cache(_USUAL_KEPT)(self._computed)

    def of(self, arguments: Mapping[str, Any]) -> str | None:
        """Return `kid:digest` of the arguments, in any order; None for arguments that no tool accepts."""
        if self._key is None:
            return None
        try:
            text = to_json(dict(sorted(arguments.items())))
        except ValueError:  # half of a surrogate pair
            return None
        return self._usual(text) if len(text) <= _USUAL_BYTES else self._computed(text)

    def _computed(self, text: bytes) -> str | None:
        if self._key is None:
            return None
        mac = self._key.copy()
        mac.update(text)
        return f"{self._kid}:{mac.hexdigest()[:DIGEST_CHARACTERS]}"


class Evidence:
    """Collects what one call reads, for its audit record."""

    __slots__ = ("_database_s", "_documents", "_found", "_rows", "_searches", "_statements")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._statements: list[dict[str, str]] = []
        self._rows = self._searches = self._found = 0
        self._database_s = 0.0
        self._documents: dict[str, None] = {}

    def statement(self, name: str, digest: str, began: float) -> None:
        """Add a statement that was run, whatever its outcome; `began` is from time.perf_counter()."""
        self._database_s += time.perf_counter() - began
        if len(self._statements) < MOST_NAMED:
            self._statements.append({"name": name, "digest": digest})

    def rows(self, count: int) -> None:
        """Add the number of a statement's rows that are shown."""
        self._rows += count

    def documents(self, names: Iterable[str]) -> None:
        """Add the documents of a search's passages."""
        self._searches += 1
        for name in names:
            self._found += 1
            if len(self._documents) < MOST_NAMED:
                self._documents[name] = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of the record; unused ones are left out."""
        found: dict[str, Any] = {}
        if self._statements:
            found["statements"] = self._statements
            found["rows"] = self._rows
            found["database_ms"] = round(self._database_s * 1000, 2)
        if self._searches:
            found |= {"searches": self._searches, "passages": self._found, "documents": list(self._documents)}
        return found
