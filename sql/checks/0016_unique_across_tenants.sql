-- Keys and unique constraints in the schema app begin with the tenant: otherwise an insert tells of other tenants' rows.
SELECT t.name, format('its unique index %s does not begin with tenant_id', i.indexrelid::regclass),
       'replace it by one that begins with tenant_id'
FROM tenant_table t JOIN pg_index i ON i.indrelid = t.oid AND (i.indisunique OR i.indisexclusion)
WHERE t.schema = 'app' AND t.name <> 'tenancy.user_tenants' AND i.indkey[0] IS DISTINCT FROM t.tenant_column
