-- No function is in reach that reads the server's files, raw pages or log, or opens connections.
SELECT p.oid::regprocedure::text, 'the login may execute it',
       format('REVOKE EXECUTE ON FUNCTION %s FROM %I, PUBLIC', p.oid::regprocedure, $1::name)
FROM pg_proc p
WHERE p.proname ~ ('^(pg_read_(binary_)?file|pg_ls_.*dir|pg_stat_file|lo_import|lo_export|pg_file_.*|dblink.*'
                   '|get_raw_page|pg_get_wal_(records?|block)_.*)$')
  AND has_function_privilege($1::name, p.oid, 'EXECUTE')
