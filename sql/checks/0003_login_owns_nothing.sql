-- The login owns nothing, large objects included: an owner grants, alters and drops.
SELECT coalesce(n.nspname || '.' || c.relname, pg_describe_object(d.classid, d.objid, d.objsubid)),
       'the login owns it', 'give it to a role that nobody logs in as: ALTER … OWNER TO, or REASSIGN OWNED'
FROM login JOIN pg_shdepend d ON d.refobjid = login.oid
LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
