-- No IMMUTABLE function reads the context: the planner would keep one tenant's answer for the next.
SELECT name, 'it reads the context and is IMMUTABLE', format('ALTER ROUTINE %s STABLE', name)
FROM routine
WHERE volatility = 'i' AND definition ~ '(current_setting|tenancy\.(current|verified)_)'
