-- The login can make no temporary objects, which come first in every search path.
SELECT 'database ' || current_database(), 'the login may create temporary objects',
       format('REVOKE TEMPORARY ON DATABASE %I FROM %I, PUBLIC', current_database(), $1::name)
WHERE has_database_privilege($1::name, current_database(), 'TEMPORARY')
