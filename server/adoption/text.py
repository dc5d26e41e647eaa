"""The report of a run as text for a person."""

from collections.abc import Iterator
from typing import Final

from server.adoption.counts import Count
from server.adoption.losses import SENTENCES, What
from server.adoption.report import AdoptionReport, agreement, how_found, options_of
from server.catalog.tenant_columns import missing_index
from server.terminal import visible

_MOST_NAMED: Final = 6
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_THOUSAND: Final = 1000


def table_rows(report: AdoptionReport) -> list[tuple[str, ...]]:
    """Return one row for each declared table: name, tenant, rows, tenants, index, size, columns left out."""
    facts = report.decisions.database.facts
    rows: list[tuple[str, ...]] = []
    for name, one in report.decisions.declared.items():
        count, missing = report.counts.get(name), missing_index(one.table, facts)
        index = f"on {missing}: will be created" if missing else "" if one.table.shared else "there"
        left_out = str(len(one.left_out) or "")
        size = shown_size(report.decisions.database.relations[name].size)
        found = how_found(one.table, report.decisions)
        tools = "" if one.table.list or one.table.summary else " (for its children; no tools)"
        rows.append((name, found + tools, _rows(count), _tenants(count), index, size, left_out))
    return rows


def paragraphs(report: AdoptionReport) -> Iterator[str]:
    """Yield the lines under the table, without the control characters that names may contain."""
    for part in (_unseen, _left_out, _undecided, _others, _proved, _files):
        for line in part(report):
            yield visible(line)


def shown_size(size: int) -> str:
    """Return a number of bytes in a readable unit."""
    value, place = float(size), 0
    while value >= _THOUSAND and place < len(_UNITS) - 1:
        value, place = value / _THOUSAND, place + 1
    return f"{value:.0f} {_UNITS[place]}"


def _rows(count: Count | None) -> str:
    if count is None:
        return ""
    return f"{count.rows:,}" if count.exact else f"about {count.rows:,}"


def _tenants(count: Count | None) -> str:
    return "" if count is None or count.tenants is None else f"{count.tenants:,}"


def _unseen(report: AdoptionReport) -> Iterator[str]:
    found = [(name, count.unseen) for name, count in report.counts.items() if count.unseen]
    if found:
        yield ""
        yield "Rows that belong to no tenant, since a column on the way is NULL or names no row. Nobody will see them:"
        yield from (f"  {name}: {unseen:,} of {report.counts[name].rows:,}" for name, unseen in found)


def _left_out(report: AdoptionReport) -> Iterator[str]:
    lines: list[str] = []
    for name, one in report.decisions.declared.items():
        columns = [f"{left.column} ({left.reason})" for left in one.left_out]
        lines += [f"  {name}: {', '.join(columns)}"] if columns else []
    if lines:
        yield ""
        yield "Columns that are left out; each stands as a comment in the file of its table, so that a person decides:"
        yield from lines


def _undecided(report: AdoptionReport) -> Iterator[str]:
    if not report.decisions.undecided:
        return
    yield ""
    yield f"Not decided, so not served: {len(report.decisions.undecided)} relations"
    alike: dict[str, list[str]] = {}
    for name, one in report.decisions.undecided.items():
        count = report.counts.get(name)
        shown = f"{name} ({_rows(count)} rows)" if count else name
        if one.ways:
            same = f"; {said}" if (said := agreement(count)) else ""
            yield f"  {shown}: {one.reason}{same}"
            yield f"    decide with {' or '.join(f'--tenant-column {column}:{name}' for column in options_of(one))}"
        else:
            alike.setdefault(one.reason, []).append(shown)
    for reason, tables in alike.items():
        yield f"  {', '.join(tables)}: {reason}"


def _others(report: AdoptionReport) -> Iterator[str]:
    yield ""
    yield "Other roles:"
    yield from _kept(report)
    yield from _lost(report)
    yield "  Owners, superusers and roles with BYPASSRLS lose nothing."
    yield "  A role that gets a grant later sees no row until ALTER POLICY as_before names it."
    yield "  A role that replicates keeps its initial copy by as_before, but not with row_security = off."
    fixed: dict[str, list[str]] = {}
    for name, losses in report.losses.items():
        for column in losses.fixed:
            fixed.setdefault(column, []).append(name)
    if fixed:
        yield "  ALTER … TYPE and DROP COLUMN are refused for the columns that policies name:"
        yield from (f"    {column} in {_listed(tables)}" for column, tables in sorted(fixed.items()))


def _kept(report: AdoptionReport) -> Iterator[str]:
    kept: dict[str, list[str]] = {}
    for name, losses in report.losses.items():
        for role in losses.kept:
            kept.setdefault(role, []).append(name)
    for role, tables in sorted(kept.items()):
        yield f"  {role}: goes on as before, by the policy as_before, in {_listed(tables)}"


def _lost(report: AdoptionReport) -> Iterator[str]:
    lost: dict[tuple[str, What], list[str]] = {}
    for name, losses in report.losses.items():
        for role, whats in losses.roles.items():
            for what in whats:
                lost.setdefault((role, what), []).append(name)
    for (role, what), tables in sorted(lost.items()):
        yield f"  {role} loses: {SENTENCES[what]}, in {_listed(tables)}"
    if any(what != "rows" for _, what in lost):
        yield "  No policy gives that back: let the role own the table, or give it BYPASSRLS, or leave the table out."


def _proved(report: AdoptionReport) -> Iterator[str]:
    if not report.proved:
        return
    yield ""
    yield "Proof: rows that each role sees before and after the SQL of a table, which was rolled back:"
    for name, proved in report.proved.items():
        if proved.problem:
            yield f"  {name}: NOT MEASURED: {proved.problem}"
            continue
        changed = [
            f"{role} {rows} → {proved.after.get(role)}"
            for role, rows in proved.before.items()
            if proved.after.get(role) != rows
        ]
        verdict = f"CHANGED: {', '.join(changed)}" if changed else f"the same for {_listed(list(proved.before))}"
        yield f"  {name}: {verdict}"


def _files(report: AdoptionReport) -> Iterator[str]:
    yield ""
    if report.kept:
        yield f"Files that a person wrote or edited stay as they are: {_listed(list(report.kept))}"
    for kind in ("new", "different", "gone"):
        paths = [change.path for change in report.changes if change.kind == kind]
        if len(paths) > _MOST_NAMED:
            folders = sorted({str(path.parent) for path in paths})
            yield f"{kind}: {len(paths)} files in {' and '.join(folders)}"
        else:
            yield from (f"{kind}: {path}" for path in paths)
    if not report.changes:
        yield "Nothing has changed since the last run."
    elif not report.written:
        yield "Nothing was written. Run again with --update to write what is new or different."
    yield from report.notes


def _listed(names: list[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
