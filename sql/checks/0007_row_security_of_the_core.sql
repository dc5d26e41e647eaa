-- Row level security is enabled on the core's tables, and binds the owner of those that the login reads.
SELECT 'tenancy.' || c.relname, CASE WHEN c.relrowsecurity THEN 'row level security does not bind its owner'
                                     ELSE 'has no row level security' END,
       format('ALTER TABLE tenancy.%I %s ROW LEVEL SECURITY', c.relname,
              CASE WHEN c.relrowsecurity THEN 'FORCE' ELSE 'ENABLE' END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'tenancy' AND c.relkind IN ('r', 'p')
  AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity AND c.relname IN ('tenants', 'user_tenants'))
