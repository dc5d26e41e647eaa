"""What the doctor found: checks with what offends, notices, and which relations were proved."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from server.catalog.facts import RelationFacts
from server.doctor.offender import Offender


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was put to the database: `offenders` is empty when all is well."""

    name: str
    purpose: str
    offenders: tuple[Offender, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing offends."""
        return not self.offenders


@dataclass(frozen=True, slots=True)
class Proved:
    """A declared relation whose rows were looked at, and what isolates it: "own column", "child of …", "shared"."""

    relation: str
    how: str


@dataclass(frozen=True, slots=True)
class Report:
    """Every check, and the login and the duration in seconds that they were made with.

    `notices` are sentences about what is no mistake and should be known. `proved` was looked at as `tenants` tenants
    that really exist. `facts` is what the database says of the declared relations.
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
        """One sentence: how many relations were proved, each with what isolates it, and as how many tenants."""
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
