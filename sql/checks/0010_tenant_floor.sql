-- Every tenant table has the restrictive floor, which no other policy can widen.
, floor (name, condition) AS (VALUES
  ('tenancy.user_tenants', '((issuer = ( SELECT tenancy.current_issuer() AS current_issuer))'
                       ' AND (user_sub = ( SELECT tenancy.current_subject() AS current_subject)))'),
  ('tenancy.tenants', '(tenant_id = ANY (ARRAY( SELECT tenancy.current_tenant() AS current_tenant'
                  ' UNION ALL SELECT u.tenant_id FROM tenancy.user_tenants u)))')
)
SELECT t.name, 'has no restrictive floor for the login',
       format('CREATE POLICY tenant_floor ON %s AS RESTRICTIVE TO %I USING (tenant_id = (SELECT tenancy.current_tenant()))',
              t.name, $1::name)
FROM tenant_table t LEFT JOIN floor ON floor.name = t.name
WHERE NOT EXISTS (
  SELECT FROM policy
  WHERE relation = t.oid AND NOT permissive AND command = '*'
    AND CASE WHEN floor.name IS NOT NULL THEN policy.condition = floor.condition
             -- The column or the context may be cast, as for a varchar or uuid column; nothing else.
             ELSE policy.condition ~ ('^\(+tenant_id\)?(::\w+)? = \(*( SELECT \(*tenancy\.current_tenant\(\)\)?(::\w+)? AS \w+'
                                      '|SELECT tenancy\.current_tenant\(\) AS current_tenant)\)+(::\w+)?\)*$') END)
