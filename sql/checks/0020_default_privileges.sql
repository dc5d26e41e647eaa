-- No table or sequence that is made tomorrow is granted to the login by itself, before anybody wrote a policy.
SELECT DISTINCT 'new objects of ' || pg_get_userbyid(d.defaclrole), privilege_type || ' is granted to the login by default',
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s', pg_get_userbyid(d.defaclrole),
              ' IN SCHEMA ' || quote_ident(n.nspname),
              CASE d.defaclobjtype WHEN 'S' THEN 'SEQUENCES' WHEN 'L' THEN 'LARGE OBJECTS' ELSE 'TABLES' END,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl)
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
WHERE d.defaclobjtype IN ('r', 'S', 'L') AND (grantee = 0 OR grantee IN (SELECT oid FROM acting))
