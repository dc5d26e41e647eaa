"""The trigger function of a roll-up.

An INSERT only appends rows, so that writers never wait for each other; sometimes it also merges the rows of a day into
one. UPDATE and DELETE compute each changed day again, because a smallest or largest value cannot be subtracted. They
lock the day first; the next statement reads it, and its snapshot contains what the previous holder of the lock wrote.
A statement that changes many days locks the whole roll-up instead, since PostgreSQL has room for few locks.
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
  many boolean;
  of_all bigint := hashtextextended('', hashtext({lock}));
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
    SELECT array_agg(c.tenant ORDER BY c.tenant, c.day), array_agg(c.day ORDER BY c.tenant, c.day) INTO tenants, days
    FROM (SELECT DISTINCT t.{tenant} AS tenant, {day_of} AS day FROM added AS t WHERE t.{tenant} IS NOT NULL) AS c;
    IF cardinality(days) > {most_locks} OR NOT pg_try_advisory_xact_lock_shared(of_all) THEN
      RETURN NULL;
    END IF;
    FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
      IF pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', tenants[place], days[place]), hashtext({lock}))) THEN
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
  many := cardinality(days) > {most_locks};
  IF many THEN
    PERFORM pg_advisory_xact_lock(of_all);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(of_all);
  END IF;
  FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
    IF NOT many THEN
      PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(' ', tenants[place], days[place]), hashtext({lock})));
    END IF;
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
