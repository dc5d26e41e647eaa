"""The doctor's result: checks with their offenders, notices, and the relations that were proved."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from server.catalog.facts import RelationFacts
from server.doctor.offender import Offender


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `offenders` is empty when it passed."""

    name: str
    purpose: str
    offenders: tuple[Offender, ...]

    @property
    def holds(self) -> bool:
        """Whether there are no offenders."""
        return not self.offenders


@dataclass(frozen=True, slots=True)
class Proved:
    """A declared relation whose rows were checked, and what isolates it: "own column", "child of …", "shared"."""

    relation: str
    how: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks, the login that made them, and their duration in seconds.

    `notices` are sentences about things that are not mistakes but should be known. The relations in `proved` were
    checked as `tenants` real tenants. `facts` are the facts of the declared relations from the database.
    """

    login: str
    checks: tuple[Check, ...]
    duration_s: float
    facts: Mapping[str, RelationFacts]
    notices: tuple[str, ...] = ()
    proved: tuple[Proved, ...] = ()
    accepted: tuple[str, ...] = ()
    tenants: int = 0

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    @property
    def summary(self) -> str:
        """One sentence: how many relations were proved, with how many tenants, and what isolates each relation."""
        relations = "1 relation" if len(self.proved) == 1 else f"{len(self.proved)} relations"
        tenants = "1 real tenant" if self.tenants == 1 else f"{self.tenants or 'no'} real tenants"
        parts = [f"{one.relation} ({one.how})" for one in self.proved]
        parts += [f"{name} (accepted, not proved)" for name in self.accepted]
        return f"{relations} proved with {tenants}" + (f": {', '.join(parts)}" if parts else "")

    def as_json(self) -> dict[str, Any]:
        """Return {ok, checks: [{name, ok, offenders: [{object, problem, remedy}]}], notices, proved, tenants}."""
        return {
            "ok": self.holds,
            "checks": [
                {"name": check.name, "ok": check.holds, "offenders": [asdict(one) for one in check.offenders]}
                for check in self.checks
            ],
            "notices": list(self.notices),
            "proved": [asdict(one) for one in self.proved],
            "tenants": self.tenants,
        }
