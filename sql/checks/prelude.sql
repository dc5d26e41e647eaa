-- What the checks ask about, put in front of each; $1 is the login's name. Every role may read all of this.
-- The doctor sets search_path = pg_catalog first, so that names are shown in full.
WITH RECURSIVE login AS (
  SELECT * FROM pg_catalog.pg_roles WHERE rolname = $1::name
), acting AS (
  -- Whom the login can act as: itself, and what it is a member of, however far.
  SELECT oid FROM login
  UNION
  SELECT m.roleid FROM acting a JOIN pg_auth_members m ON m.member = a.oid
), policy AS (
  SELECT n.nspname || '.' || c.relname AS relation, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
         p.polname AS name, p.polpermissive AS permissive, p.polcmd AS command, p.polroles AS roles,
         regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g') AS condition,
         regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g') AS write_condition
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE p.polroles && (ARRAY[0::oid] || ARRAY(SELECT oid FROM acting))
), routine AS (
  -- Also one that somebody put into pg_catalog.
  SELECT p.oid, p.oid::regprocedure::text AS name, p.prosecdef AS definer, p.proleakproof AS leakproof,
         p.provolatile AS volatility, coalesce(p.proconfig, '{}') AS settings,
         CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE '' END AS definition
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE (n.nspname NOT IN ('pg_catalog', 'information_schema') OR p.oid >= 16384)
    AND has_function_privilege($1::name, p.oid, 'EXECUTE')
)
