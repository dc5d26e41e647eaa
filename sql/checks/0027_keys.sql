-- The login has no privilege on the keys that sign contexts.
SELECT c.oid::regclass::text, 'the login has privileges on it', format('REVOKE ALL ON %s FROM %I, PUBLIC', c.oid::regclass, $1::name)
FROM pg_class c
WHERE c.oid = to_regclass('tenancy.keys')
  AND (has_table_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
       OR has_any_column_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
