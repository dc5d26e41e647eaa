-- The core's functions are those of sql/migrations, word for word.
, expected (name, text, definer) AS (VALUES
  -- The SHA-256 of its body, which is long.
  ('tenancy.verified_context()', '76138ceff56ac2cab21b309fdc53a43751e8fadf0f6e2b669f54ea309c32d3ac', true),
  ('tenancy.current_tenant()', 'RETURN (tenancy.verified_context())[3]', false),
  ('tenancy.current_issuer()', 'RETURN convert_from(decode((tenancy.verified_context())[4], ''base64''::text), ''UTF8''::name)', false),
  ('tenancy.current_subject()', 'RETURN convert_from(decode((tenancy.verified_context())[5], ''base64''::text), ''UTF8''::name)', false),
  ('tenancy.proof_tenants()', 'BEGIN ATOMIC SELECT t.tenant_id FROM tenancy.tenants t WHERE (t.active AND '
   '(( SELECT tenancy.current_issuer() AS current_issuer) = ''tenantgate:proof''::text)) ORDER BY t.tenant_id LIMIT 2; END',
   true)
), found AS (
  SELECT p.oid::regprocedure::text AS name, p.prosecdef AS definer, p.provolatile AS volatility, p.proconfig AS settings,
         coalesce(regexp_replace(pg_get_function_sqlbody(p.oid), '\s+', ' ', 'g'),
                  encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex')) AS text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tenancy'
)
SELECT name, CASE WHEN e.text IS NULL THEN 'is not the core''s' WHEN f.text IS NULL THEN 'is missing'
                  ELSE 'is not as the core''s migration made it' END,
       CASE WHEN e.text IS NULL THEN 'DROP ROUTINE ' || name ELSE 'create it as sql/migrations does' END
FROM expected e FULL JOIN found f USING (name)
WHERE (e.text, e.definer, 's', CASE WHEN e.definer THEN ARRAY['search_path=pg_catalog, pg_temp'] END)
      IS DISTINCT FROM (f.text, f.definer, f.volatility::text, f.settings)
