-- Every table in reach has a policy that lets the login read: without one each answer is empty, which looks like no data.
SELECT name, 'is granted, but no permissive policy is for the login',
       format('CREATE POLICY tenant_reads ON %s FOR SELECT TO %I USING (tenant_id = (SELECT tenancy.current_tenant()))',
              name, $1::name)
FROM relation
WHERE kind IN ('r', 'p') AND secured
  AND NOT EXISTS (SELECT FROM policy WHERE relation = relation.oid AND permissive AND command IN ('*', 'r'))
