-- The login's sessions start read-only, under row level security, and with limits for statements, locks and waiting.
SELECT name, format('is %s', quote_literal(s.reset_val)),
       format('ALTER ROLE %I SET %s = %s', $1::name, name, wanted)
FROM (VALUES ('default_transaction_read_only', '^on$', 'on'), ('row_security', '^on$', 'on'),
             ('statement_timeout', '[1-9]', '''5s'''),
             ('lock_timeout', '[1-9]', '''1s'''), ('idle_in_transaction_session_timeout', '[1-9]', '''10s'''),
             ('client_connection_check_interval', '[1-9]', '''500ms''')) AS setting (name, pattern, wanted)
-- What a new session begins with; the doctor's own session has changed some of these for itself. How values are written
-- and names are found is not asked here: the server's sessions set that themselves.
JOIN pg_settings s USING (name)
WHERE s.reset_val !~ pattern
