-- The core's tables have the policies of sql/migrations/0003_registry.sql for the login, and no other.
, shown (tenant, person) AS (
  SELECT '(tenant_id = ANY (ARRAY( SELECT tenancy.current_tenant() AS current_tenant'
         ' UNION ALL SELECT u.tenant_id FROM tenancy.user_tenants u)))',
         '((issuer = ( SELECT tenancy.current_issuer() AS current_issuer))'
         ' AND (user_sub = ( SELECT tenancy.current_subject() AS current_subject)))'
), expected (relation, name, permissive, command, condition, write_condition) AS (
  SELECT 'tenancy.tenants', 'tenant_floor', false, '*', tenant,
         '(tenant_id = ( SELECT tenancy.current_tenant() AS current_tenant))' FROM shown
  UNION ALL SELECT 'tenancy.tenants', 'tenant_reads', true, 'r', tenant, NULL FROM shown
  UNION ALL SELECT 'tenancy.user_tenants', 'person_floor', false, '*', person, person FROM shown
  UNION ALL SELECT 'tenancy.user_tenants', 'person_reads', true, 'r', person, NULL FROM shown
)
SELECT relation, format('its policy %I %s', name, CASE WHEN p.roles IS NULL THEN 'is missing for the login'
                                                       WHEN e.condition IS NULL THEN 'is not the core''s'
                                                       ELSE 'is not as the core''s migration made it' END),
       CASE WHEN e.condition IS NULL THEN format('DROP POLICY %I ON %s', name, p.quoted)
            ELSE 'create it as sql/migrations/0003_registry.sql does' END
FROM expected e FULL JOIN (SELECT * FROM policy WHERE relation LIKE 'tenancy.%') p USING (relation, name)
WHERE (e.permissive, e.command, e.condition, e.write_condition, ARRAY(SELECT oid FROM login))
      IS DISTINCT FROM (p.permissive, p.command::text, p.condition, p.write_condition, p.roles)
