-- The login has none of the attributes that step over row security or make roles.
SELECT rolname, 'has ' || attribute, 'ALTER ROLE ' || quote_ident(rolname) || ' NO' || attribute
FROM login, LATERAL (VALUES ('SUPERUSER', rolsuper), ('BYPASSRLS', rolbypassrls), ('CREATEROLE', rolcreaterole),
                            ('CREATEDB', rolcreatedb), ('REPLICATION', rolreplication)) AS has (attribute, holds)
WHERE holds
