-- The login is a member of no role that owns or may do anything: NOINHERIT would not keep it from SET ROLE.
, membership AS (
  SELECT m.roleid FROM pg_auth_members m, login WHERE m.member = login.oid
)
SELECT r.rolname, 'the login is a member of it', format('REVOKE %I FROM %I', r.rolname, $1::name)
FROM membership JOIN pg_roles r ON r.oid = membership.roleid
WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolname ~ '^pg_'
   OR EXISTS (SELECT FROM pg_shdepend d WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid)
   -- What it is a member of in turn is not worth a distinction.
   OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
