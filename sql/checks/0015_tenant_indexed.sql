-- An index of every tenant table begins with the tenant, or one tenant pays for the rows of all. Mappings go by person.
SELECT name, 'no index begins with tenant_id', format('CREATE INDEX ON %s (tenant_id)', name)
FROM tenant_table t
WHERE name <> 'tenancy.user_tenants'
  AND NOT EXISTS (SELECT FROM pg_index i
                  WHERE i.indrelid = t.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = t.tenant_column)
