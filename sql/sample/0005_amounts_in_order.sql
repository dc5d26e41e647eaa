-- The sample: deep pages in the order of the amount. No comparison of numeric is leakproof, so under row level security
-- PostgreSQL does not search an index by it. A bigint with the same order is searched: the amount in hundredths.
-- This rewrites the table; readers and writers wait meanwhile.

SET LOCAL ROLE app_owner;

ALTER TABLE app.claims ADD COLUMN IF NOT EXISTS claim_amount_cents bigint
  GENERATED ALWAYS AS ((claim_amount * 100)::bigint) STORED NOT NULL;
-- The amount itself is in it too, so that a total of all claims is read from the index alone.
CREATE INDEX IF NOT EXISTS claims_claim_amount_cents_sorted ON app.claims (tenant_id, claim_amount_cents, id)
  INCLUDE (claim_amount);
DROP INDEX IF EXISTS app.claims_claim_amount_sorted;
-- 0004 replaced it, but named it without its schema, so that it was not found.
DROP INDEX IF EXISTS app.claims_customer_name_200_sorted;
GRANT SELECT (claim_amount_cents) ON app.claims TO :"login";

RESET ROLE;
