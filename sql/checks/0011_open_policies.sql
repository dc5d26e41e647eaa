-- No policy for the login lets every row of a tenant table through: the floor is the second wall, not the only one.
SELECT t.name, format('its policy %I lets every row through', policy.name),
       format('ALTER POLICY %I ON %s USING (tenant_id = (SELECT tenancy.current_tenant()))', policy.name, t.name)
FROM tenant_table t JOIN policy ON policy.relation = t.oid
WHERE permissive AND command IN ('*', 'r') AND policy.condition IN ('true', '(true)')
