-- Foreign keys in the schema app between tenant tables begin with the tenant: no row refers to another tenant's.
SELECT t.name, format('its foreign key %I can refer to a row of another tenant', c.conname),
       format('replace it by FOREIGN KEY (tenant_id, …) REFERENCES %s (tenant_id, …)', other.name)
FROM tenant_table t
JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f'
JOIN tenant_table other ON other.oid = c.confrelid
WHERE t.schema = 'app' AND (c.conkey[1], c.confkey[1]) IS DISTINCT FROM (t.tenant_column, other.tenant_column)
