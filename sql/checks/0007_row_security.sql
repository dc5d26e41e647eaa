-- Row level security is enabled on every table and partition in reach. A table that is meant for all says so by a policy.
SELECT name, 'has no row level security', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name)
FROM relation WHERE kind IN ('r', 'p') AND NOT secured
