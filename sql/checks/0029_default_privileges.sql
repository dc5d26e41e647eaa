-- No table or sequence that is made tomorrow is granted to the login by itself, before anybody wrote a policy.
SELECT 'new objects of ' || pg_get_userbyid(d.defaclrole), format('%s is granted to the login by default', privilege_type),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %sREVOKE ALL ON %s FROM %s', pg_get_userbyid(d.defaclrole),
              'IN SCHEMA ' || d.defaclnamespace::regnamespace || ' ',
              CASE d.defaclobjtype WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END,
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident($1::name) END)
FROM pg_default_acl d, aclexplode(d.defaclacl), login
WHERE d.defaclobjtype IN ('r', 'S') AND grantee IN (0, login.oid)
