"""Everything that one attempt needs: the stack, the person, what they wrote, what others own, the records."""

from dataclasses import dataclass

from client_demo.attempts.others import Others, others_or_none
from client_demo.attempts.person import Person
from client_demo.attempts.place import Place
from client_demo.attempts.records import Records


@dataclass(frozen=True, slots=True)
class Scene:
    """One attempt; `others` is None when the owner's view cannot be read, and then no wall is said to hold."""

    place: Place
    person: Person
    text: str
    records: Records
    others: Others | None


def scene_of(place: Place, person: Person, text: str, records: Records, *, documents: bool = True) -> Scene:
    """Return the scene, with what others own at this moment; `documents`: also in the documents."""
    return Scene(place, person, text, records, others_or_none(place, person, documents=documents))
