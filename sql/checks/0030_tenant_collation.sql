-- The tenant column compares byte by byte: a collation that takes A for a takes one tenant for another.
SELECT t.name, 'tenant_id has the nondeterministic collation ' || c.collname,
       format('ALTER TABLE %s ALTER COLUMN tenant_id TYPE text COLLATE "C"', t.name)
FROM tenant_table t JOIN pg_collation c ON c.oid = t.tenant_collation
WHERE NOT c.collisdeterministic
