-- The login can use no foreign server: what lies there knows nothing of tenants.
SELECT 'server ' || srvname, 'the login may use it',
       format('REVOKE USAGE ON FOREIGN SERVER %I FROM %I, PUBLIC', srvname, $1::name)
FROM pg_foreign_server WHERE has_server_privilege($1::name, oid, 'USAGE')
