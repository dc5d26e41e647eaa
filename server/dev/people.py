"""The people who can sign in at the development identity provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """One person; `subject` is the `sub` of their tokens, a UUID as Cognito issues it."""

    name: str
    subject: str
    tenant: str | None
    groups: tuple[str, ...]


def people_of(entries: Sequence[Mapping[str, Any]]) -> tuple[Person, ...]:
    """Return the `[[person]]` entries of a TOML file as people."""
    return tuple(
        Person(one["name"], one["subject"], one.get("tenant"), tuple(one.get("groups", ()))) for one in entries
    )
