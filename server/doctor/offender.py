"""A problem that a check found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offender:
    """The object that breaks isolation, the problem, and the remedy."""

    object: str
    problem: str
    remedy: str
