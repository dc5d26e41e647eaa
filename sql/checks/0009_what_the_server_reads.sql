-- The core's tables and functions that the server uses are there and granted.
SELECT name, CASE WHEN oid IS NULL THEN 'is missing' ELSE 'the login cannot read it' END,
       CASE WHEN oid IS NULL THEN 'run `tenantgate migrate`'
            ELSE format('GRANT USAGE ON SCHEMA tenancy TO %I; GRANT SELECT ON %s TO %I', $1::name, name, $1::name) END
FROM unnest(ARRAY['tenancy.tenants', 'tenancy.user_tenants']) AS name, to_regclass(name) AS oid
WHERE oid IS NULL OR NOT has_table_privilege($1::name, oid, 'SELECT')
   OR NOT has_schema_privilege($1::name, 'tenancy', 'USAGE')
UNION ALL
SELECT name, CASE WHEN oid IS NULL THEN 'is missing' ELSE 'the login cannot call it' END,
       CASE WHEN oid IS NULL THEN 'run `tenantgate migrate`'
            ELSE format('GRANT EXECUTE ON FUNCTION %s TO %I', name, $1::name) END
FROM unnest(ARRAY['tenancy.verified_context()', 'tenancy.current_tenant()', 'tenancy.current_issuer()',
                  'tenancy.current_subject()', 'tenancy.proof_tenants()']) AS name, to_regprocedure(name) AS oid
WHERE oid IS NULL OR NOT has_function_privilege($1::name, oid, 'EXECUTE')
