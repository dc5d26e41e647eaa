-- The login's sessions start read-only, with limits, and with nothing but the system's own schema in their path.
SELECT name, format('is %s', quote_literal(current_setting(name))),
       format('ALTER ROLE %I SET %s = %s', $1::name, name, wanted)
FROM (VALUES ('default_transaction_read_only', '^on$', 'on'), ('row_security', '^on$', 'on'),
             ('search_path', '^pg_catalog$', 'pg_catalog'), ('statement_timeout', '[1-9]', '''5s'''),
             ('lock_timeout', '[1-9]', '''1s'''), ('idle_in_transaction_session_timeout', '[1-9]', '''10s'''),
             ('client_connection_check_interval', '[1-9]', '''500ms''')) AS setting (name, pattern, wanted)
WHERE current_setting(name) !~ pattern
