-- The login has no privilege on the keys that sign contexts.
SELECT 'tenancy.keys', 'the login has privileges on it',
       format('REVOKE ALL ON tenancy.keys FROM %I, PUBLIC', $1::name)
FROM pg_class c
WHERE c.oid = to_regclass('tenancy.keys')
  AND (has_table_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR has_any_column_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
