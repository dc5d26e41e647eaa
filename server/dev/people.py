"""The sample people: who can sign in at the development identity provider."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """One sample person; `subject` is the `sub` of their tokens, a UUID as Cognito issues it."""

    name: str
    subject: str
    tenant: str | None
    groups: tuple[str, ...]


PEOPLE: Final = (
    Person("john-regular", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01", "broker-a", ("regular",)),
    Person("sarah-platinum", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a02", "broker-b", ("platinum",)),
    Person("mike-broker-a", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a03", "broker-a", ("regular",)),
    Person("emma-broker-b", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a04", "broker-b", ("platinum",)),
    Person("nora-no-tier", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a05", "broker-a", ()),
    Person("omar-unmapped", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a06", None, ("regular",)),
)
