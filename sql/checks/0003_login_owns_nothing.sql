-- The login owns nothing, large objects included: an owner grants, alters and drops.
SELECT pg_describe_object(d.classid, d.objid, d.objsubid), 'the login owns it',
       'give it to a role that nobody logs in as: ALTER … OWNER TO, or REASSIGN OWNED'
FROM pg_shdepend d, login
WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = login.oid AND d.deptype = 'o'
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
