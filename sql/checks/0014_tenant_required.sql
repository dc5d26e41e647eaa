-- The tenant column of every tenant table is NOT NULL: a row of nobody is seen by nobody, and found by none.
SELECT name, 'tenant_id may be NULL', format('ALTER TABLE %s ALTER COLUMN tenant_id SET NOT NULL', name)
FROM tenant_table WHERE NOT tenant_required
