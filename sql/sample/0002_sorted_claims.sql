-- The sample: what makes a page as quick for a tenant with a million claims as for one with a thousand. Each serves both
-- directions, as `tenantgate tools sql app.claims` prints it; claims_by_filing of 0001 serves the order by filed_at.

SET LOCAL ROLE app_owner;

CREATE INDEX IF NOT EXISTS claims_customer_name_200_sorted ON app.claims (tenant_id, left(customer_name, 200), id);
CREATE INDEX IF NOT EXISTS claims_claim_amount_sorted ON app.claims (tenant_id, claim_amount, id);

RESET ROLE;
