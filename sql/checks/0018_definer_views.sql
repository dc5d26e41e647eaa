-- Views in reach run as the one who asks (security_invoker, PostgreSQL 15): otherwise as their owner, past the policies.
SELECT name, 'it runs with its owner''s rights', format('ALTER VIEW %s SET (security_invoker = true)', name)
FROM relation
WHERE kind = 'v' AND NOT options && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=yes',
                                          'security_invoker=1']
