-- The sample: deep pages in the order of the customer's name. The index of 0002 has all rows by the part of the name that
-- is shown, which PostgreSQL compares only after the policy. These two, as `tenantgate tools sql app.claims` prints them,
-- have each row once: a name that is shown whole by the name itself, which is found in the index, and the few others.

SET LOCAL ROLE app_owner;

CREATE INDEX IF NOT EXISTS claims_customer_name_200_short_sorted ON app.claims (tenant_id, customer_name, id)
  WHERE char_length(customer_name) <= 200;
CREATE INDEX IF NOT EXISTS claims_customer_name_200_longer_sorted ON app.claims (tenant_id, left(customer_name, 200), id)
  WHERE (char_length(customer_name) <= 200) IS NOT TRUE;
DROP INDEX IF EXISTS claims_customer_name_200_sorted;

RESET ROLE;
