-- Row level security is forced where the login could act as the owner, whom it does not bind otherwise.
SELECT name, 'row level security does not bind its owner, whom the login can act as',
       format('ALTER TABLE %s FORCE ROW LEVEL SECURITY, and take the login out of the owning role', name)
FROM relation
WHERE kind IN ('r', 'p') AND NOT forced AND pg_has_role($1::name, owner, 'MEMBER')
