-- The tables that the server reads are there and granted.
SELECT name, CASE WHEN to_regclass(name) IS NULL THEN 'is missing' ELSE 'the login cannot read it' END,
       CASE WHEN to_regclass(name) IS NULL THEN 'run `tenantgate migrate`'
            ELSE format('GRANT USAGE ON SCHEMA tenancy TO %I; GRANT SELECT ON %s TO %I', $1::name, name, $1::name) END
FROM unnest(ARRAY['tenancy.tenants', 'tenancy.user_tenants']) AS name
WHERE name NOT IN (SELECT relation.name FROM relation WHERE has_table_privilege($1::name, relation.oid, 'SELECT'))
