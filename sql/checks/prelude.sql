-- What the checks ask about, put in front of each; $1 is the login's name. Every role may read all of this.
-- A tenant table is a table with a column tenant_id that the login has any privilege on, in whatever schema.
-- Relations of extensions are left out: they are not an application's.
WITH login AS (
  SELECT * FROM pg_catalog.pg_roles WHERE rolname = $1::name
), relation AS (
  SELECT c.oid, c.oid::regclass::text AS name, n.nspname AS schema, c.relkind AS kind, c.relowner AS owner,
         c.relrowsecurity AS secured, c.relforcerowsecurity AS forced, coalesce(c.reloptions, '{}') AS options
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege($1::name, n.oid, 'USAGE')
    AND (has_table_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
         OR c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND has_any_column_privilege($1::name, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), tenant_table AS (
  SELECT r.*, a.attnum AS tenant_column, a.attnotnull AS tenant_required, a.attcollation AS tenant_collation
  FROM relation r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
  WHERE r.kind IN ('r', 'p')
), policy AS (
  SELECT p.polrelid AS relation, p.polname AS name, p.polpermissive AS permissive, p.polcmd AS command,
         regexp_replace(coalesce(pg_get_expr(p.polqual, p.polrelid), 'true'), '\s+', ' ', 'g') AS condition
  FROM pg_policy p
  WHERE EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE role = 0 OR pg_has_role($1::name, role, 'MEMBER'))
), routine AS (
  SELECT p.oid, p.oid::regprocedure::text AS name, n.nspname AS schema, p.proname, p.prosecdef AS definer,
         p.proleakproof AS leakproof, p.provolatile AS volatility, p.proowner AS owner,
         coalesce(p.proconfig, '{}') AS settings,
         CASE WHEN p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE '' END AS definition
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND has_function_privilege($1::name, p.oid, 'EXECUTE')
)
