-- The login can read no catalogue that holds values of rows or secrets, and no table behind a table.
SELECT n.nspname || '.' || c.relname, 'the login may read it', format('REVOKE ALL ON %I.%I FROM %I, PUBLIC', n.nspname, c.relname, $1::name)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE has_any_column_privilege($1::name, c.oid, 'SELECT')
  AND (n.nspname = 'pg_catalog' AND c.relname IN ('pg_authid', 'pg_shadow', 'pg_statistic', 'pg_statistic_ext_data',
                                                  'pg_largeobject', 'pg_user_mapping', 'pg_hba_file_rules')
       OR c.relkind = 't')
  AND NOT (SELECT rolsuper FROM login)
