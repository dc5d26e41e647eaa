"""The SQL of a roll-up: its table with policies and grants, its first rows, and the triggers that keep it exact."""

from typing import Final, LiteralString, cast

from psycopg import sql

from server.catalog.expressions import SQL, Composable, column_of
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.measures import exact, number
from server.catalog.object_names import object_name
from server.catalog.policies import expression
from server.catalog.protection.exposure import parts_of
from server.catalog.protection.grants import grant_columns
from server.catalog.protection.rollup_body import BODY
from server.catalog.protection.script import Script, block
from server.catalog.protection.subject import Subject
from server.catalog.rollups import DAY, ROWS, Rollup
from server.catalog.tenant_columns import Facts
from server.errors import StartupError

# PostgreSQL runs the triggers of one event in the order of their names. These run last and see all changes.
TRIGGERS: Final[dict[str, tuple[str, LiteralString]]] = {
    "INSERT": ("zz_rollup_insert", "REFERENCING NEW TABLE AS added "),
    "UPDATE": ("zz_rollup_update", "REFERENCING OLD TABLE AS removed NEW TABLE AS added "),
    "DELETE": ("zz_rollup_delete", "REFERENCING OLD TABLE AS removed "),
    "TRUNCATE": ("zz_rollup_truncate", ""),
}
_TEXTS: Final = frozenset({"text", "character varying"})
# A bit mask: a roll-up has 1,024 locks. By default PostgreSQL has room for about 6,400 of all sessions
# (max_locks_per_transaction).
_LOCKS: Final = 1_023
# How many days (of a tenant each) one INSERT merges at most.
_MOST_MERGED: Final = 100


def protect_rollup(subject: Subject, rollup: Rollup) -> Script:
    """Return the SQL that creates a roll-up again; `subject` is the declared table. Raise StartupError if impossible.

    It can be run again: the whole roll-up is computed from the rows.
    """
    _refuse(subject, rollup)
    names, login = names_of(rollup, subject.facts), subject.login
    script = Script()
    script.say(
        f"The roll-up of {rollup.source.name}: one row for each tenant, day and group, from which its summary is "
        "answered. It is made anew each time that this is run. Run it as an administrator: a superuser, or a member of "
        "the owners of the table and of the schema tenancy. In a file of your own migrations, leave out BEGIN and "
        "COMMIT: each file is one transaction there."
    )
    script.gap()
    script.begin()
    script.say("Until COMMIT writers of the table wait, while its rows are added up: about 2 s per million rows.")
    script.run(SQL("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE").format(**names))
    script.run(SQL("DROP TABLE IF EXISTS {rollup}").format(**names))
    script.say(
        "Its index holds every column, so that a tenant's parts are read side by side. A group's value of more than "
        "about 2,600 bytes would not fit: its INSERT fails."
    )
    script.run(_created(rollup, subject.own, names))
    script.run(SQL("ALTER TABLE {rollup} OWNER TO {owner}").format(**names))
    _write_protection(script, subject, rollup, names)
    script.gap()
    script.say("From here on each statement that writes rows writes what it changes of the days, in its transaction.")
    script.run(_function(rollup, subject.facts))
    script.run(SQL("ALTER FUNCTION {function}() OWNER TO {owner}").format(**names))
    for event, (name, tables) in TRIGGERS.items():
        script.run(
            SQL(
                "CREATE OR REPLACE TRIGGER {trigger} AFTER {event} ON {table}\n"
                "  {tables}FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            ).format(
                **names,
                trigger=sql.Identifier(name),
                event=SQL(cast("LiteralString", event)),
                tables=SQL(tables),
            )
        )
    script.run(
        SQL("REVOKE ALL ON FUNCTION {function}() FROM PUBLIC, {login}").format(**names, login=sql.Identifier(login))
    )
    script.gap()
    script.say("The rows that are there.")
    script.run(
        SQL("INSERT INTO {rollup} ({columns}) {sums} FROM {table} AS t {grouped}\nORDER BY 1, 2").format(**names)
    )
    script.run(SQL("ANALYZE {rollup}").format(**names))
    script.run(SQL("COMMIT"))
    return script


def function_name(rollup: Rollup) -> str:
    """Return the name of the trigger function, which is in the schema of the table."""
    return object_name("keep", rollup.name.partition(".")[2])


def function_body(rollup: Rollup, facts: Facts) -> str:
    """Return the body of the trigger function, as in pg_proc."""
    return SQL(BODY).format(**names_of(rollup, facts)).as_string()


def names_of(rollup: Rollup, facts: Facts) -> dict[str, sql.Composable]:
    """Return the SQL parts for the placeholders of all statements, by name."""
    own = facts[rollup.source.name]
    moment = own.columns[rollup.source.column_of(rollup.moment)]
    groups = [rollup.source.column_of(name) for name in rollup.groups]
    day, tenant = _day(column_of(moment.name), moment, rollup.source.timezone), column_of(rollup.tenant)
    measured = [rollup.source.column_of(figure.name) for figure in rollup.figures]
    # Numbers are compared as text: 1.0 and 1.00 are equal, but shown differently.
    compared = [tenant, day, *map(column_of, groups), *(SQL("{}::text").format(column_of(one)) for one in measured)]
    schema, name = own.schema, rollup.name.partition(".")[2]
    kept = [rollup.tenant, DAY, *groups]
    places = SQL(", ").join(SQL(cast("LiteralString", f"{place:d}")) for place in range(1, len(kept) + 1))
    return {
        "table": sql.Identifier(own.schema, own.name),
        "rollup": sql.Identifier(schema, name),
        "owner": sql.Identifier(own.owner),
        "function": sql.Identifier(schema, function_name(rollup)),
        "columns": SQL(", ").join(map(sql.Identifier, rollup.columns)),
        "tenant": sql.Identifier(rollup.tenant),
        "type": SQL(cast("LiteralString", own.columns[rollup.tenant].base)),
        "day": sql.Identifier(DAY),
        "day_of": day,
        "sums": SQL("SELECT {}").format(SQL(", ").join([tenant, day, *map(column_of, groups), *_sums(rollup, own)])),
        "grouped": SQL("WHERE {} IS NOT NULL GROUP BY {}").format(tenant, places),
        "by": places,
        "merged": SQL(", ").join([*(sql.Identifier("gone", one) for one in kept), *_merged(rollup)]),
        "compared": SQL(", ").join(compared),
        "within": _within(column_of(moment.name), moment, rollup.source.timezone),
        "lock": sql.Literal(sql.Identifier(schema, name).as_string()),
        "locks": sql.Literal(_LOCKS),
        "most_merged": sql.Literal(_MOST_MERGED),
    }


def _refuse(subject: Subject, rollup: Rollup) -> None:
    own = subject.own
    if own.kind != "r" or parts_of(subject.connection, subject.relation):
        raise StartupError(
            f"{own.full_name} is a view, or has partitions or inheritance children, whose writes its triggers do not "
            "see; remove rollup from its summary"
        )
    for name in rollup.groups:
        column = own.columns[rollup.source.column_of(name)]
        if not (column.kind == "e" or column.base == "boolean" or (column.base in _TEXTS and column.deterministic)):
            raise StartupError(
                f"{own.full_name}: its group {name} is {column.type}, which a roll-up cannot group exactly; change it "
                "to text, or remove rollup from its summary"
            )


def _write_protection(script: Script, subject: Subject, rollup: Rollup, names: dict[str, sql.Composable]) -> None:
    table = rollup.declared()
    own = RelationFacts(
        subject.own.schema,
        rollup.name.partition(".")[2],
        "r",
        subject.own.owner,
        {rollup.tenant: subject.own.columns[rollup.tenant]},
        (),
        (),
        (),
    )
    condition, login = expression(table, {table.name: own}), sql.Identifier(subject.login)
    script.gap()
    script.say("The same walls as those of the table itself.")
    script.run(
        SQL(
            "CREATE POLICY tenant_floor ON {rollup} AS RESTRICTIVE FOR ALL TO {login}\n"
            "  USING ({condition})\n  WITH CHECK ({condition})"
        ).format(**names, login=login, condition=condition)
    )
    script.run(
        SQL("CREATE POLICY tenant_reads ON {rollup} FOR SELECT TO {login}\n  USING ({condition})").format(
            **names, login=login, condition=condition
        )
    )
    script.run(SQL("ALTER TABLE {rollup} ENABLE ROW LEVEL SECURITY").format(**names))
    script.run(SQL("REVOKE ALL ON {rollup} FROM PUBLIC, {login}").format(**names, login=login))
    script.run(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(subject.own.schema), login))
    script.run(grant_columns(sql.Identifier(own.schema, own.name), rollup.columns, subject.login))


def _created(rollup: Rollup, own: RelationFacts, names: dict[str, sql.Composable]) -> sql.Composed:
    columns: list[sql.Composed] = []
    source = rollup.source

    def add(name: str, kind: str, rest: LiteralString = "") -> None:
        columns.append(SQL("{} {}{}").format(sql.Identifier(name), SQL(cast("LiteralString", kind)), SQL(rest)))

    add(rollup.tenant, _type(own.columns[rollup.tenant]), " NOT NULL")
    add(DAY, "date")
    for name in rollup.groups:
        add(source.column_of(name), _type(own.columns[source.column_of(name)]))
    add(ROWS, "bigint", " NOT NULL")
    for figure in rollup.figures:
        facts = own.columns[source.column_of(figure.name)]
        kind = {"real": "double precision", "money": "numeric"}.get(facts.base, facts.base)
        for column, its in (
            (figure.total, "numeric"),
            (figure.values, "bigint"),
            (figure.largest, kind),
            (figure.smallest, kind),
        ):
            if column:
                add(column, its)
    # The rows of one tenant are scattered over the table in the order of their arrival, but adjacent in the index.
    rest = SQL(", ").join(map(sql.Identifier, rollup.columns[2:]))
    index = sql.Identifier(object_name(rollup.name.partition(".")[2], "tenantgate"))
    return SQL(
        "CREATE TABLE {rollup} (\n  {columns}\n);\nCREATE INDEX {index} ON {rollup} ({tenant}, {day}) INCLUDE ({rest})"
    ).format(**{**names, "columns": SQL(",\n  ").join(columns), "index": index, "rest": rest})


def _type(column: ColumnFacts) -> str:
    # PostgreSQL returned both names, quoted where necessary; a domain includes its collation.
    plain = column.is_domain or column.collation in {"", 'pg_catalog."default"'}
    return column.type if plain else f"{column.type} COLLATE {column.collation}"


def _function(rollup: Rollup, facts: Facts) -> sql.Composed:
    names = names_of(rollup, facts)
    head = SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n  LANGUAGE plpgsql SECURITY DEFINER\n"
        "  SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1\nAS "
    ).format(**names)
    return sql.Composed([head, block(SQL(BODY).format(**names))])


def _day(reference: Composable, moment: ColumnFacts, zone: str) -> Composable:
    """Return the day of a date or timestamp."""
    match moment.base:
        case "date":
            return reference
        case "timestamp with time zone":
            return SQL("({} AT TIME ZONE {})::date").format(reference, sql.Literal(zone))
        case _:
            return SQL("{}::date").format(reference)


def _within(reference: Composable, moment: ColumnFacts, zone: str) -> Composable:
    """Return a condition with which an index finds all rows of the day at `place`, and perhaps some near it."""
    if moment.base == "date":
        return SQL("{} = days[place]").format(reference)
    first: Composable = SQL("days[place]::timestamp")
    last: Composable = SQL("(days[place] + 1)::timestamp")
    if moment.base == "timestamp with time zone":
        # A day may begin or end at another time: some zones change clocks at midnight, or skipped a whole day.
        margin = SQL("" if zone == "UTC" else " {} interval '26 hours'")
        first = SQL("{} AT TIME ZONE {}{}").format(
            first, sql.Literal(zone), margin.format(SQL("-")) if zone != "UTC" else SQL("")
        )
        last = SQL("{} AT TIME ZONE {}{}").format(
            last, sql.Literal(zone), margin.format(SQL("+")) if zone != "UTC" else SQL("")
        )
    return SQL("{} >= {} AND {} < {}").format(reference, first, reference, last)


def _sums(rollup: Rollup, own: RelationFacts) -> list[Composable]:
    found: list[Composable] = [SQL("count(*)")]
    for figure in rollup.figures:
        facts = own.columns[rollup.source.column_of(figure.name)]
        summed, shown = exact(column_of(facts.name), facts), number(column_of(facts.name), facts)
        forms = (
            (figure.total, SQL("sum({})::numeric").format(summed)),
            (figure.values, SQL("count({})").format(summed)),
            (figure.largest, SQL("max({})").format(shown)),
            (figure.smallest, SQL("min({})").format(shown)),
        )
        found += [form for column, form in forms if column]
    return found


def _merged(rollup: Rollup) -> list[Composable]:
    found: list[Composable] = [SQL("sum({})::bigint").format(sql.Identifier("gone", ROWS))]
    for figure in rollup.figures:
        forms = (
            (figure.total, SQL("sum({})")),
            (figure.values, SQL("sum({})::bigint")),
            (figure.largest, SQL("max({})")),
            (figure.smallest, SQL("min({})")),
        )
        found += [form.format(sql.Identifier("gone", column)) for column, form in forms if column]
    return found
