-- The login's sessions start read-only, with limits, with nothing but the system's own schema in their path, and with
-- the forms of values that the statements of the server expect.
SELECT name, format('is %s', quote_literal(s.reset_val)),
       format('ALTER ROLE %I SET %s = %s', $1::name, name, wanted)
FROM (VALUES ('default_transaction_read_only', '^on$', 'on'), ('row_security', '^on$', 'on'),
             ('search_path', '^pg_catalog$', 'pg_catalog'), ('statement_timeout', '[1-9]', '''5s'''),
             ('lock_timeout', '[1-9]', '''1s'''), ('idle_in_transaction_session_timeout', '[1-9]', '''10s'''),
             ('client_connection_check_interval', '[1-9]', '''500ms'''), ('TimeZone', '^(Etc/)?UTC$', '''UTC'''),
             ('DateStyle', '^ISO', '''ISO, YMD'''), ('IntervalStyle', '^postgres$', 'postgres'),
             ('extra_float_digits', '^[1-3]$', '1'), ('bytea_output', '^hex$', 'hex'),
             ('standard_conforming_strings', '^on$', 'on')) AS setting (name, pattern, wanted)
-- What a new session begins with; the doctor's own session has changed some of these for itself.
JOIN pg_settings s USING (name)
WHERE s.reset_val !~ pattern
