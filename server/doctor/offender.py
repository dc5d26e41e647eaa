"""What a check found wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offender:
    """The object that breaks isolation, in what way, and what to do about it."""

    object: str
    problem: str
    remedy: str
