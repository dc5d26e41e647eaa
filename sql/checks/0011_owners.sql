-- Nobody can log in as the owner of the context's functions, of the keys and of the registry.
SELECT r.rolname, format('owns %s and can log in', owned.what), format('ALTER ROLE %I NOLOGIN', r.rolname)
FROM (
  SELECT n.nspowner AS owner, 'the schema tenancy' AS what FROM pg_namespace n WHERE n.nspname = 'tenancy'
  UNION ALL
  SELECT p.proowner, p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = 'tenancy'
  UNION ALL
  SELECT c.relowner, 'tenancy.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'tenancy' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
) AS owned JOIN pg_roles r ON r.oid = owned.owner
WHERE r.rolcanlogin OR r.rolsuper
