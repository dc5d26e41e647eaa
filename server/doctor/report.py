"""The doctor's result: checks with their offenders, notices, and the relations that were proved."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from server.catalog.facts import RelationFacts
from server.doctor.offender import Offender


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `offenders` is empty when it passed. Its group and duration say nothing about the result."""

    name: str
    purpose: str
    offenders: tuple[Offender, ...]
    group: str = field(default="", compare=False)
    duration_s: float = field(default=0.0, compare=False)

    @property
    def holds(self) -> bool:
        """Whether there are no offenders."""
        return not self.offenders


@dataclass(frozen=True, slots=True)
class Proved:
    """A declared relation whose rows were checked, and what isolates it: "own column", "child of …", "shared".

    The proof took `statements`, as `tenants` real tenants, who saw `rows` of it.
    """

    relation: str
    how: str
    statements: int = field(default=0, compare=False)
    tenants: int = field(default=0, compare=False)
    rows: int = field(default=0, compare=False)

    @property
    def sentence(self) -> str:
        """What was proved, and with how many statements."""
        if self.how in {"shared", "view, shared"}:
            what, who = "every tenant reads the same rows, and nobody without a tenant", ""
        elif self.tenants:
            what = "rows of another tenant are invisible"
            who = f" as {_counted(self.tenants, 'real tenant')} with {_counted(self.rows, 'row')}"
        else:
            what, who = "no row is visible without a tenant, or to one that does not exist", ""
        return f"{what}: proved with {_counted(self.statements, 'statement')}{who} ({self.how})"


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
        parts = [f"{one.relation} ({one.how})" for one in self.proved]
        parts += [f"{name} (accepted, not proved)" for name in self.accepted]
        return self.headline + (f": {', '.join(parts)}" if parts else "")

    @property
    def headline(self) -> str:
        """The beginning of the summary: how many relations were proved, with how many tenants."""
        tenants = _counted(self.tenants, "real tenant") if self.tenants else "no real tenants"
        return f"{_counted(len(self.proved), 'relation')} proved with {tenants}"

    def as_json(self) -> dict[str, Any]:
        """Return {ok, checks: [{name, ok, offenders: [{object, problem, remedy}]}], notices, proved, tenants}."""
        return {
            "ok": self.holds,
            "checks": [
                {"name": check.name, "ok": check.holds, "offenders": [asdict(one) for one in check.offenders]}
                for check in self.checks
            ],
            "notices": list(self.notices),
            "proved": [{"relation": one.relation, "how": one.how} for one in self.proved],
            "tenants": self.tenants,
        }


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
