-- The login can create nothing: a function or table of its own could stand in somebody's way.
SELECT 'schema ' || nspname, 'the login may create objects in it',
       format('REVOKE CREATE ON SCHEMA %I FROM %I, PUBLIC', nspname, $1::name)
FROM pg_namespace
WHERE nspname !~ '^pg_(toast|temp)' AND has_schema_privilege($1::name, oid, 'CREATE')
UNION ALL
SELECT 'database ' || current_database(), 'the login may create schemas',
       format('REVOKE CREATE ON DATABASE %I FROM %I, PUBLIC', current_database(), $1::name)
WHERE has_database_privilege($1::name, current_database(), 'CREATE')
