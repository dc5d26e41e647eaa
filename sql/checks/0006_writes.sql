-- The login can only read.
, held AS (
  SELECT c.oid, x.grantee, x.privilege_type AS privilege FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT a.attrelid, x.grantee, x.privilege_type FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
)
SELECT n.nspname || '.' || c.relname, 'the login may ' || privilege,
       format('REVOKE %s ON %I.%I FROM %s', privilege, n.nspname, c.relname,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM held JOIN pg_class c ON c.oid = held.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (grantee = 0 OR grantee IN (SELECT oid FROM acting)) AND privilege <> 'SELECT'
  -- Everybody may SET what pg_settings shows, by an UPDATE as well.
  AND NOT (c.oid = 'pg_catalog.pg_settings'::regclass AND privilege = 'UPDATE')
