-- The login may read no large object: row level security does not exist for them.
SELECT 'large object ' || m.oid, 'the login may ' || CASE privilege_type WHEN 'SELECT' THEN 'read' ELSE 'write' END || ' it',
       format('REVOKE ALL ON LARGE OBJECT %s FROM %s', m.oid,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM pg_largeobject_metadata m CROSS JOIN LATERAL aclexplode(m.lomacl)
WHERE grantee = 0 OR grantee IN (SELECT oid FROM acting WHERE oid <> m.lomowner)
UNION ALL
SELECT 'lo_compat_privileges', 'is on, so that everybody may read every large object',
       'ALTER SYSTEM SET lo_compat_privileges = off; SELECT pg_reload_conf()'
WHERE current_setting('lo_compat_privileges') = 'on' AND has_function_privilege($1::name, 'lo_get(oid)', 'EXECUTE')
