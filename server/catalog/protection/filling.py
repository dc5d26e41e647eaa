"""The first steps to an own tenant column: add the column and its trigger, and fill the existing rows."""

from typing import Final, LiteralString

from psycopg import sql

from server.catalog.protection.indexes import drop_unfinished
from server.catalog.protection.script import Script, block
from server.catalog.protection.way import Way, long_step, short_step

# 2 MB of the table: about twenty thousand rows, which are locked for about half a second.
_BATCH_PAGES: Final = 250
_BACKFILL: Final[LiteralString] = """
DECLARE
  page bigint;
  changed bigint;
  in_this_round bigint;
BEGIN
  LOOP
    page := 0;
    in_this_round := 0;
    WHILE page * current_setting('block_size')::bigint < pg_relation_size({relation}::regclass) LOOP
      UPDATE {child} c SET {tenant} = p.{tenant} FROM {parent} p
      WHERE p.{key} = c.{fk} AND p.{tenant} IS NOT NULL AND c.{tenant} IS DISTINCT FROM p.{tenant}
        AND c.ctid >= format('(%s,0)', page)::tid AND c.ctid < format('(%s,0)', page + {pages})::tid;
      GET DIAGNOSTICS changed = ROW_COUNT;
      in_this_round := in_this_round + changed;
      page := page + {pages};
      COMMIT;
    END LOOP;
    EXIT WHEN in_this_round = 0;
  END LOOP;
END
"""


def column_step(way: Way) -> Script:
    """Return the step that adds the empty column."""
    return short_step(
        way,
        "1. The column. ACCESS EXCLUSIVE for less than a millisecond; no row is written.",
        "ALTER TABLE {child} ADD COLUMN IF NOT EXISTS {tenant} {type}",
    )


def unique_steps(way: Way) -> list[Script]:
    """Return the steps that add a unique index on tenant and key to the parent, if it is missing."""
    if any(set(key) == {way.tenant.name, way.key} for key in way.parent.keys):
        return []
    steps: list[Script] = []
    unfinished = Script()
    if drop_unfinished(unfinished, way.subject.connection, way.parent.schema, way.unique_index):
        steps.append(unfinished)
    comment = "2. What the foreign key of step 7 refers to. Nobody waits; 0.2 s per 300,000 parents."
    return [
        *steps,
        long_step(
            way, comment, "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {unique} ON {parent} ({tenant}, {key})"
        ),
    ]


def trigger_step(way: Way) -> Script:
    """Return the step that adds the trigger, which sets the tenant of new and moved rows."""
    body = sql.SQL(
        "\nBEGIN\n  NEW.{tenant} := (SELECT p.{tenant} FROM {parent} p WHERE p.{key} = NEW.{fk});\n  RETURN NEW;\nEND\n"
    )
    function = sql.SQL(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
        "  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp\nAS "
    )
    return short_step(
        way,
        "3. New and moved rows get the tenant of their parent, whatever a statement says. The function runs as the "
        "parent's owner, so that a writer needs no grant on the parent. SHARE ROW EXCLUSIVE, less than a millisecond.",
        sql.Composed([function.format(**way.names), block(body.format(**way.names))]),
        "ALTER FUNCTION {function}() OWNER TO {owner}",
        "REVOKE ALL ON FUNCTION {function}() FROM PUBLIC",
        "CREATE OR REPLACE TRIGGER {trigger} BEFORE INSERT OR UPDATE OF {fk}, {tenant} ON {child}\n"
        "  FOR EACH ROW EXECUTE FUNCTION {function}()",
    )


def backfill_steps(way: Way) -> list[Script]:
    """Return the steps that set the tenant of the existing rows."""
    body = sql.SQL(_BACKFILL).format(
        **way.names, relation=sql.Literal(way.subject.name.as_string()), pages=sql.Literal(_BATCH_PAGES)
    )
    script = Script()
    script.say(
        "4. The rows that are there, in batches that are committed one by one: 16.6 s per million rows in 50 batches, "
        "each of which locks its own rows, 0.5 s at the longest. Other triggers for UPDATE run for each row. Rows that "
        "are moved meanwhile are found in the next round."
    )
    script.run(sql.SQL("DO {}").format(block(body)))
    comment = "The old version of each row still takes its space until this has run. Nobody waits."
    return [script, long_step(way, comment, "VACUUM (ANALYZE) {child}")]
