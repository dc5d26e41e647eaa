"""Roll-ups: whether their triggers are in place, and whether their figures for a day are those of the rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.compile import CompiledTable, Filter
from server.catalog.expressions import column_of
from server.catalog.protection.rollup import TRIGGERS, function_body, function_name
from server.catalog.rollups import DAY, Rollup, is_one_moment, rollups_in
from server.database.statement import Row, Statement
from server.doctor.asking import LATER
from server.doctor.contexts import ContextSigner
from server.doctor.declared import Declared
from server.doctor.offender import Offender
from server.doctor.tenants import family, is_possible

_DAYS: Final = 3
_TRIGGERS: Final[LiteralString] = """
SELECT t.tgname::text, t.tgenabled IN ('O', 'A') AND p.prosecdef AND p.proowner = c.relowner
         AND t.tgtype & 1 = 0 AND t.tgqual IS NULL AND t.tgattr = ''::int2vector,
       CASE t.tgtype & 60 WHEN 4 THEN 'INSERT' WHEN 8 THEN 'DELETE' WHEN 16 THEN 'UPDATE' WHEN 32 THEN 'TRUNCATE' END,
       p.prosrc, coalesce(p.proconfig, '{}')
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname = $1 AND c.relname = $2 AND p.pronamespace = n.oid AND p.proname = $3
"""
_SETTINGS: Final = ["search_path=pg_catalog, pg_temp", "extra_float_digits=1"]


def rollup_offenders(connection: psycopg.Connection[Any], declared: Declared) -> Iterator[Offender]:
    """Yield each roll-up whose table lacks one of the triggers that update it."""
    for name, rollup in _present(declared).items():
        own = declared.facts[rollup.source.name]
        values = (own.schema, own.name, function_name(rollup))
        rows = connection.execute(_TRIGGERS, values).fetchall()
        body = function_body(rollup, declared.facts)
        kept = {event for _, works, event, text, settings in rows if works and text == body and settings == _SETTINGS}
        if missing := [event for event in TRIGGERS if event not in kept]:
            yield Offender(
                name,
                f"no trigger of {rollup.source.name} keeps it at {', '.join(missing)}, so its totals can differ from "
                "the rows",
                f"run the SQL that `tenantgate tools sql {name}` prints",
            )


def figure_offenders(
    connection: psycopg.Connection[Any], declared: Declared, tenants: Sequence[str], signer: ContextSigner
) -> Iterator[Offender]:
    """Yield each roll-up whose figures differ from a tenant's rows; days are chosen at random."""
    for name, rollup in _present(declared).items():
        source = declared.facts[rollup.source.name]
        compiled = CompiledTable(rollup.source, source, declared.facts[name])
        kind = family(declared, rollup.source)
        for tenant in (one for one in tenants if is_possible(declared, one, kind)):
            if said := _difference(_Asking(connection, signer, tenant), compiled, rollup):
                remedy = f"run the SQL that `tenantgate tools sql {name}` prints, which makes it anew"
                yield Offender(name, f"the tenant {tenant} has {said}", remedy)
                break


class _Asking:
    """Runs queries as one tenant inside the open transaction."""

    def __init__(self, connection: psycopg.Connection[Any], signer: ContextSigner, tenant: str) -> None:
        self._connection: Final = connection
        self._signer: Final = signer
        self._tenant: Final = tenant

    def rows(self, statement: Statement[Row], *values: str) -> list[Row]:
        """Return the rows that the tenant sees."""
        with self._connection.transaction(force_rollback=True):
            sent = (*values, self._signer.sign(statement, self._tenant))
            return statement.read(self._connection.execute(statement.sent, sent).fetchall()[0][1])


def _difference(asking: _Asking, compiled: CompiledTable, rollup: Rollup) -> str | None:
    """Return a text about a day on which roll-up and rows differ; None when there is none."""
    try:
        for first, last in _days(asking, compiled, rollup):
            for statement in _comparing(compiled, rollup):
                (answers,) = asking.rows(statement, first, last)
                if answers["rolled"] != answers["rows"]:
                    return f"other totals on {first} than its rows have: {_told(answers)}"
    except LATER:
        return None
    return None


def _comparing(compiled: CompiledTable, rollup: Rollup) -> Iterator[Statement[Row]]:
    """Yield the statements for the figures of one day, in total and by each group, from roll-up and rows at once."""
    filters: tuple[Filter, ...] = ((rollup.moment, "from"), (rollup.moment, "before"))
    for group in (None, *((name, None) for name in rollup.groups)):
        both = [
            sql.SQL("(SELECT json_agg(a) FROM ({}) AS a) AS {}").format(
                compiled.summary_text(filters, group, rolled=rolled), sql.Identifier(name)
            )
            for name, rolled in (("rolled", True), ("rows", False))
        ]
        text = sql.SQL("SELECT {}").format(sql.SQL(", ").join(both))
        yield Statement(f"figures {rollup.name}", text, Row, parameters=len(filters))


def _days(asking: _Asking, compiled: CompiledTable, rollup: Rollup) -> list[tuple[str, str]]:
    """Return days of a tenant, each with its next day: some of the roll-up, and the first and last of the rows."""
    moment = column_of(rollup.source.column_of(rollup.moment))
    zone = sql.Literal(rollup.source.timezone)
    zoned = compiled.facts.columns[rollup.source.column_of(rollup.moment)].base == "timestamp with time zone"
    local = sql.SQL("({} AT TIME ZONE {})").format(moment, zone) if zoned else moment
    ends = [
        sql.SQL(
            "(SELECT {}::date AS day FROM {} AS t WHERE {} < 'infinity' AND {} > '-infinity' ORDER BY {} {} LIMIT 1)"
        ).format(local, sql.Identifier(compiled.facts.schema, compiled.facts.name), moment, moment, moment, way)
        for way in (sql.SQL("ASC"), sql.SQL("DESC"))
    ]
    text = sql.SQL(
        "SELECT DISTINCT day::text AS first, (day + 1)::text AS last FROM ("
        "(SELECT {day} AS day FROM {rollup} AS t WHERE isfinite({day}) ORDER BY random() LIMIT {most})"
        " UNION ALL {ends}) AS r WHERE day BETWEEN '0001-01-02' AND '9999-12-30'"
    ).format(
        day=column_of(DAY),
        rollup=sql.Identifier(compiled.facts.schema, rollup.name.partition(".")[2]),
        most=sql.Literal(_DAYS),
        ends=sql.SQL(" UNION ALL ").join(ends),
    )
    found = asking.rows(Statement(f"days {rollup.name}", text, Row, parameters=0))
    zone_info = compiled.zone
    return [
        (one["first"], one["last"])
        for one in found
        if is_one_moment(one["first"], zone_info) and is_one_moment(one["last"], zone_info)
    ]


def _told(answers: Row) -> str:
    rolled, rows = (answers[name][0]["count"] for name in ("rolled", "rows"))
    return f"{rolled} rows and not {rows}" if rolled != rows else "the figures differ"


def _present(declared: Declared) -> dict[str, Rollup]:
    """Return the roll-ups that exist together with their tables, by name."""
    isolable = {table.name for table in declared.isolable}
    return {
        name: rollup
        for name, rollup in rollups_in(declared.tables).items()
        if {name, rollup.source.name} <= isolable
        and declared.facts[name].columns.keys() >= {*rollup.columns}
        and declared.facts[rollup.source.name].columns.keys()
        >= {rollup.source.column_of(one) for one in rollup.source.columns}
    }
