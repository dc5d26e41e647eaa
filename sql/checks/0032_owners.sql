-- Nobody can log in as the owner of the context's functions and keys.
SELECT r.rolname, 'owns what proves the tenant, and can log in', format('ALTER ROLE %I NOLOGIN', r.rolname)
FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
WHERE n.nspname = 'tenancy' AND (r.rolcanlogin OR r.rolsuper)
UNION ALL
SELECT r.rolname, format('owns %s and can log in', p.oid::regprocedure), format('ALTER ROLE %I NOLOGIN', r.rolname)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
WHERE n.nspname = 'tenancy' AND (r.rolcanlogin OR r.rolsuper)
