"""The trigger function of a roll-up.

An INSERT only appends rows, so that writers never wait for each other; sometimes it also merges the rows of a day into
one. UPDATE and DELETE compute each changed day again, because a smallest or largest value cannot be subtracted. They
lock the days first; the next statement reads them, and its snapshot contains what the previous holder of a lock wrote.
PostgreSQL has room for few locks, so a lock stands for all days with the same hash (of tenant and day).
Under REPEATABLE READ, the second of two such writers gets a serialization error, as for a row that both change. One
statement replaces a day, so that it deletes exactly the sums of the rows that it reads.
"""

from typing import Final, LiteralString

BODY: Final[LiteralString] = """
#variable_conflict use_column
DECLARE
  tenants {type}[];
  days date[];
  place integer;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE {rollup};
    RETURN NULL;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO {rollup} ({columns})
    {sums} FROM added AS t {grouped};
    IF random() > 0.05 OR current_setting('transaction_isolation') <> 'read committed' THEN
      RETURN NULL;
    END IF;
    -- Some of them, if there are many: their turn comes with other inserts.
    SELECT array_agg(c.tenant), array_agg(c.day) INTO tenants, days
    FROM (
      SELECT d.tenant, d.day FROM (
        SELECT DISTINCT t.{tenant} AS tenant, {day_of} AS day FROM added AS t WHERE t.{tenant} IS NOT NULL
      ) AS d ORDER BY random() LIMIT {most_merged}
    ) AS c;
    FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
      IF pg_try_advisory_xact_lock(
        hashtext({lock}), (hashtextextended(concat_ws(' ', tenants[place], days[place]), 0) & {locks})::integer
      ) THEN
        WITH gone AS (
          DELETE FROM {rollup} AS r WHERE r.{tenant} = tenants[place]
            AND (r.{day} = days[place] OR (r.{day} IS NULL AND days[place] IS NULL)) RETURNING r.*
        )
        INSERT INTO {rollup} ({columns})
        SELECT {merged} FROM gone GROUP BY {by};
      END IF;
    END LOOP;
    RETURN NULL;
  ELSIF TG_OP = 'UPDATE' THEN
    SELECT array_agg(c.tenant ORDER BY c.tenant, c.day), array_agg(c.day ORDER BY c.tenant, c.day) INTO tenants, days
    FROM (
      SELECT DISTINCT d.tenant, d.day FROM (
        (SELECT {compared} FROM removed AS t EXCEPT ALL SELECT {compared} FROM added AS t)
        UNION ALL
        (SELECT {compared} FROM added AS t EXCEPT ALL SELECT {compared} FROM removed AS t)
      ) AS d (tenant, day) WHERE d.tenant IS NOT NULL
    ) AS c;
  ELSE
    SELECT array_agg(c.tenant ORDER BY c.tenant, c.day), array_agg(c.day ORDER BY c.tenant, c.day) INTO tenants, days
    FROM (SELECT DISTINCT t.{tenant} AS tenant, {day_of} AS day FROM removed AS t WHERE t.{tenant} IS NOT NULL) AS c;
  END IF;
  -- In one order, so that two statements never wait for each other.
  PERFORM pg_advisory_xact_lock(hashtext({lock}), c.hash) FROM (
    SELECT DISTINCT (hashtextextended(concat_ws(' ', d.tenant, d.day), 0) & {locks})::integer AS hash
    FROM unnest(tenants, days) AS d (tenant, day) ORDER BY hash
  ) AS c;
  FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
    IF days[place] BETWEEN '0001-01-02' AND '9999-12-30' THEN
      WITH gone AS (DELETE FROM {rollup} AS r WHERE r.{tenant} = tenants[place] AND r.{day} = days[place])
      INSERT INTO {rollup} ({columns})
      {sums} FROM {table} AS t
      WHERE t.{tenant} = tenants[place] AND {within} AND {day_of} = days[place] GROUP BY {by};
    ELSE
      WITH gone AS (
        DELETE FROM {rollup} AS r WHERE r.{tenant} = tenants[place] AND r.{day} IS NOT DISTINCT FROM days[place]
      )
      INSERT INTO {rollup} ({columns})
      {sums} FROM {table} AS t
      WHERE t.{tenant} = tenants[place] AND {day_of} IS NOT DISTINCT FROM days[place] GROUP BY {by};
    END IF;
  END LOOP;
  RETURN NULL;
END
"""
