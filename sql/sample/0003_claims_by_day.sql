-- The sample: what summarize_claims adds up, one row for each tenant, day, state and line of business. It is what
-- `tenantgate tools sql app.claims_by_day` prints: writers of app.claims wait while the rows that are there are added up.

LOCK TABLE app.claims IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE "app"."claims_by_day" (
  "tenant_id" text NOT NULL,
  "rollup_day" date,
  "status" text,
  "line_of_business" text,
  "rollup_rows" bigint NOT NULL,
  "rollup_total_amount" numeric,
  "rollup_values_amount" bigint,
  "rollup_largest_amount" numeric
);
CREATE INDEX "claims_by_day_tenantgate" ON "app"."claims_by_day" ("tenant_id", "rollup_day") INCLUDE ("status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount");
ALTER TABLE "app"."claims_by_day" OWNER TO "app_owner";

-- The same walls as those of the table itself.
CREATE POLICY tenant_floor ON "app"."claims_by_day" AS RESTRICTIVE FOR ALL TO :"login"
  USING ("claims_by_day"."tenant_id" = (SELECT tenancy.current_tenant()))
  WITH CHECK ("claims_by_day"."tenant_id" = (SELECT tenancy.current_tenant()));
CREATE POLICY tenant_reads ON "app"."claims_by_day" FOR SELECT TO :"login"
  USING ("claims_by_day"."tenant_id" = (SELECT tenancy.current_tenant()));
ALTER TABLE "app"."claims_by_day" ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON "app"."claims_by_day" FROM PUBLIC, :"login";
GRANT USAGE ON SCHEMA "app" TO :"login";
GRANT SELECT ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount") ON "app"."claims_by_day" TO :"login";

-- From here on each statement that writes rows writes what it changes of the days, in its transaction.
CREATE OR REPLACE FUNCTION "app"."keep_claims_by_day"() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
AS $body$
#variable_conflict use_column
DECLARE
  tenants text[];
  days date[];
  place integer;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE "app"."claims_by_day";
    RETURN NULL;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO "app"."claims_by_day" ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount")
    SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", count(*), sum("t"."claim_amount")::numeric, count("t"."claim_amount"), max("t"."claim_amount") FROM added AS t WHERE "t"."tenant_id" IS NOT NULL GROUP BY 1, 2, 3, 4;
    IF random() > 0.05 OR current_setting('transaction_isolation') <> 'read committed' THEN
      RETURN NULL;
    END IF;
    -- Some of them, if there are many: their turn comes with other inserts.
    SELECT array_agg(c.tenant), array_agg(c.day) INTO tenants, days
    FROM (
      SELECT d.tenant, d.day FROM (
        SELECT DISTINCT t."tenant_id" AS tenant, ("t"."filed_at" AT TIME ZONE 'UTC')::date AS day FROM added AS t WHERE t."tenant_id" IS NOT NULL
      ) AS d ORDER BY random() LIMIT 100
    ) AS c;
    FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
      IF pg_try_advisory_xact_lock(
        hashtext('"app"."claims_by_day"'), (hashtextextended(concat_ws(' ', tenants[place], days[place]), 0) & 1023)::integer
      ) THEN
        WITH gone AS (
          DELETE FROM "app"."claims_by_day" AS r WHERE r."tenant_id" = tenants[place]
            AND (r."rollup_day" = days[place] OR (r."rollup_day" IS NULL AND days[place] IS NULL)) RETURNING r.*
        )
        INSERT INTO "app"."claims_by_day" ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount")
        SELECT "gone"."tenant_id", "gone"."rollup_day", "gone"."status", "gone"."line_of_business", sum("gone"."rollup_rows")::bigint, sum("gone"."rollup_total_amount"), sum("gone"."rollup_values_amount")::bigint, max("gone"."rollup_largest_amount") FROM gone GROUP BY 1, 2, 3, 4;
      END IF;
    END LOOP;
    RETURN NULL;
  ELSIF TG_OP = 'UPDATE' THEN
    SELECT array_agg(c.tenant ORDER BY c.tenant, c.day), array_agg(c.day ORDER BY c.tenant, c.day) INTO tenants, days
    FROM (
      SELECT DISTINCT d.tenant, d.day FROM (
        (SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", "t"."claim_amount"::text FROM removed AS t EXCEPT ALL SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", "t"."claim_amount"::text FROM added AS t)
        UNION ALL
        (SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", "t"."claim_amount"::text FROM added AS t EXCEPT ALL SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", "t"."claim_amount"::text FROM removed AS t)
      ) AS d (tenant, day) WHERE d.tenant IS NOT NULL
    ) AS c;
  ELSE
    SELECT array_agg(c.tenant ORDER BY c.tenant, c.day), array_agg(c.day ORDER BY c.tenant, c.day) INTO tenants, days
    FROM (SELECT DISTINCT t."tenant_id" AS tenant, ("t"."filed_at" AT TIME ZONE 'UTC')::date AS day FROM removed AS t WHERE t."tenant_id" IS NOT NULL) AS c;
  END IF;
  -- In one order, so that two statements never wait for each other.
  PERFORM pg_advisory_xact_lock(hashtext('"app"."claims_by_day"'), c.hash) FROM (
    SELECT DISTINCT (hashtextextended(concat_ws(' ', d.tenant, d.day), 0) & 1023)::integer AS hash
    FROM unnest(tenants, days) AS d (tenant, day) ORDER BY hash
  ) AS c;
  FOR place IN 1 .. coalesce(cardinality(days), 0) LOOP
    IF days[place] BETWEEN '0001-01-02' AND '9999-12-30' THEN
      WITH gone AS (DELETE FROM "app"."claims_by_day" AS r WHERE r."tenant_id" = tenants[place] AND r."rollup_day" = days[place])
      INSERT INTO "app"."claims_by_day" ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount")
      SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", count(*), sum("t"."claim_amount")::numeric, count("t"."claim_amount"), max("t"."claim_amount") FROM "app"."claims" AS t
      WHERE t."tenant_id" = tenants[place] AND "t"."filed_at" >= days[place]::timestamp AT TIME ZONE 'UTC' AND "t"."filed_at" < (days[place] + 1)::timestamp AT TIME ZONE 'UTC' AND ("t"."filed_at" AT TIME ZONE 'UTC')::date = days[place] GROUP BY 1, 2, 3, 4;
    ELSE
      WITH gone AS (
        DELETE FROM "app"."claims_by_day" AS r WHERE r."tenant_id" = tenants[place] AND r."rollup_day" IS NOT DISTINCT FROM days[place]
      )
      INSERT INTO "app"."claims_by_day" ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount")
      SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", count(*), sum("t"."claim_amount")::numeric, count("t"."claim_amount"), max("t"."claim_amount") FROM "app"."claims" AS t
      WHERE t."tenant_id" = tenants[place] AND ("t"."filed_at" AT TIME ZONE 'UTC')::date IS NOT DISTINCT FROM days[place] GROUP BY 1, 2, 3, 4;
    END IF;
  END LOOP;
  RETURN NULL;
END
$body$;
ALTER FUNCTION "app"."keep_claims_by_day"() OWNER TO "app_owner";
CREATE OR REPLACE TRIGGER "zz_rollup_insert" AFTER INSERT ON "app"."claims"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "app"."keep_claims_by_day"();
CREATE OR REPLACE TRIGGER "zz_rollup_update" AFTER UPDATE ON "app"."claims"
  REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "app"."keep_claims_by_day"();
CREATE OR REPLACE TRIGGER "zz_rollup_delete" AFTER DELETE ON "app"."claims"
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION "app"."keep_claims_by_day"();
CREATE OR REPLACE TRIGGER "zz_rollup_truncate" AFTER TRUNCATE ON "app"."claims"
  FOR EACH STATEMENT EXECUTE FUNCTION "app"."keep_claims_by_day"();
REVOKE ALL ON FUNCTION "app"."keep_claims_by_day"() FROM PUBLIC, :"login";

-- The rows that are there.
INSERT INTO "app"."claims_by_day" ("tenant_id", "rollup_day", "status", "line_of_business", "rollup_rows", "rollup_total_amount", "rollup_values_amount", "rollup_largest_amount") SELECT "t"."tenant_id", ("t"."filed_at" AT TIME ZONE 'UTC')::date, "t"."status", "t"."line_of_business", count(*), sum("t"."claim_amount")::numeric, count("t"."claim_amount"), max("t"."claim_amount") FROM "app"."claims" AS t WHERE "t"."tenant_id" IS NOT NULL GROUP BY 1, 2, 3, 4
ORDER BY 1, 2;
ANALYZE "app"."claims_by_day";
