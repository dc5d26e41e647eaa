"""What a run found and wrote, as data and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.adoption.counts import Count
from server.adoption.decisions import Decisions
from server.adoption.losses import Losses
from server.adoption.output import Change
from server.adoption.proving import MeasuredRows
from server.adoption.ways import Own, Undecided
from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import missing_index


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """Everything that one run found.

    `written` says whether the changes were made; `kept` are the declared tables whose file a person wrote or edited.
    """

    decisions: Decisions
    counts: Mapping[str, Count]
    losses: Mapping[str, Losses]
    changes: Sequence[Change]
    kept: Sequence[str]
    proved: Mapping[str, MeasuredRows]
    notes: Sequence[str]
    written: bool

    def as_json(self) -> dict[str, Any]:
        """Return {id_type, tables: [...], undecided: [...], files: [...], notes: [...], written}."""
        return {
            "id_type": self.decisions.id_type,
            "tables": [self._table(name) for name in self.decisions.declared],
            "undecided": [self._undecided(name, one) for name, one in self.decisions.undecided.items()],
            "files": [{"change": change.kind, "path": str(change.path)} for change in self.changes],
            "edited": list(self.kept),
            "notes": list(self.notes),
            "written": self.written,
        }

    def _table(self, name: str) -> dict[str, Any]:
        declared, lost = self.decisions.declared[name], self.losses[name]
        found = self.decisions.database.relations[name]
        missing = missing_index(declared.table, self.decisions.database.facts)
        return {
            "table": name,
            "tenant": how_found(declared.table, self.decisions),
            "tools": [one.tool for one in (declared.table.list, declared.table.summary) if one],
            **counted(self.counts.get(name)),
            "size_bytes": found.size,
            "missing_index": missing,
            "left_out": [{"column": one.column, "reason": one.reason} for one in declared.left_out],
            "goes_on_as_before": list(lost.kept),
            "loses": [{"role": role, "what": list(what)} for role, what in lost.roles.items()],
            "fixed_columns": list(lost.fixed),
            **({"proved": self.proved[name].as_json()} if name in self.proved else {}),
        }

    def _undecided(self, name: str, one: Undecided) -> dict[str, Any]:
        count, found = self.counts.get(name), self.decisions.database.relations[name]
        options = [f"--tenant-column {column}:{name}" for column in options_of(one)]
        return {
            "table": name,
            "reason": one.reason,
            **counted(count),
            "size_bytes": found.size,
            "options": options,
        }


def how_found(table: Table, decisions: Decisions) -> str:
    """Return how the tenant of a declared table is found, with every parent on the way."""
    if table.shared:
        return "shared with every tenant"
    way = decisions.ways.get(table.name)
    if isinstance(way, Own) and way.column == table.tenant:
        return way.because
    steps: list[str] = []
    while isinstance(table.tenant, Through):
        steps.append(f"{table.tenant.through} → {table.tenant.parent}")
        table = decisions.tables[table.tenant.parent]
    return ", ".join([*steps, f"column {table.tenant}"])


def counted(count: Count | None) -> dict[str, Any]:
    """Return the known counts of a table."""
    if count is None:
        return {}
    known: dict[str, Any] = {"rows": count.rows, "exact": count.exact}
    if count.tenants is not None:
        known |= {"tenants": count.tenants, "rows_of_no_tenant": count.unseen}
    if count.differing is not None:
        known["rows_of_different_tenants"] = count.differing
    return known


def agreement(count: Count | None) -> str | None:
    """Return a phrase that says whether equally short ways give the same tenant in the existing rows, if known."""
    if count is None or count.differing is None or not count.rows:
        return None
    if not count.differing:
        return f"they name the same tenant in all {count.rows:,} rows"
    return f"they name different tenants in {count.differing:,} of {count.rows:,} rows"


def options_of(one: Undecided) -> Iterator[str]:
    """Yield the columns that a person can choose from with --tenant-column."""
    for way in one.ways:
        yield way.column if isinstance(way, Own) else way.through
