-- The login can only read.
SELECT name, 'the login may ' || privilege, format('REVOKE %s ON %s FROM %I, PUBLIC', privilege, name, $1::name)
FROM relation, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
WHERE kind IN ('r', 'p', 'v', 'm', 'f')
  AND (has_table_privilege($1::name, relation.oid, privilege)
       OR privilege IN ('INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege($1::name, relation.oid, privilege))
