-- Functions that run with their owner's rights fix their search path: otherwise the caller chooses what they call.
SELECT name, 'its search path is the caller''s',
       format('ALTER ROUTINE %s SET search_path = pg_catalog, pg_temp', name)
FROM routine
WHERE definer AND NOT EXISTS (SELECT FROM unnest(settings) AS setting WHERE setting LIKE 'search_path=%')
