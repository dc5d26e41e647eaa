"""Used DPoP proofs, so that none is used twice; within a fixed amount of memory."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from server.auth.proofs import WINDOW_S, DpopProof

# Proofs of one person, and of all persons together.
MAXIMUM_OWN: Final = 2_048
MAXIMUM_PROOFS: Final = 32_768
_DIGEST_BYTES: Final = 16


@dataclass(slots=True)
class _Own:
    """The proofs of one person by their digest, in order of use; proofs issued at or before `floor` are refused."""

    issued: dict[bytes, float] = field(default_factory=dict[bytes, float])
    floor: float = 0.0
    newest: float = 0.0


class UsedProofs:
    """Remembers each proof for as long as it could be used again.

    When there are too many, the oldest are forgotten, and every proof that is not newer than a forgotten one is
    refused: memory is limited, and no proof is used twice. A person fills their own share first.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._people: Final = OrderedDict[bytes, _Own]()
        self._floor = 0.0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def use(self, issuer: str, subject: str, proof: DpopProof, now: float) -> bool:
        """Use a proof of a person; return False when it was used before, or may have been."""
        person = _digest(issuer, subject)
        own = self._people.get(person) or _Own()
        name = _digest(proof.id)
        self._forget_expired(own, now)
        if proof.issued <= max(self._floor, own.floor) or name in own.issued:
            return False
        own.issued[name] = proof.issued
        own.newest = max(own.newest, proof.issued)
        self._people[person] = own
        self._people.move_to_end(person)
        self._count += 1
        if len(own.issued) > MAXIMUM_OWN:
            own.floor = max(own.floor, self._forget_first(own))
        self._forget_people(now)
        return True

    def _forget_expired(self, own: _Own, now: float) -> None:
        while own.issued and next(iter(own.issued.values())) < now - WINDOW_S:
            self._forget_first(own)

    def _forget_first(self, own: _Own) -> float:
        self._count -= 1
        return own.issued.pop(next(iter(own.issued)))

    def _forget_people(self, now: float) -> None:
        """Forget people, longest inactive first: all with too old proofs, and more while there are too many proofs."""
        while self._people:
            person, own = next(iter(self._people.items()))
            is_old = own.newest < now - WINDOW_S
            if not is_old and self._count <= MAXIMUM_PROOFS:
                return
            if not is_old:
                self._floor = max(self._floor, own.newest)
            del self._people[person]
            self._count -= len(own.issued)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]
