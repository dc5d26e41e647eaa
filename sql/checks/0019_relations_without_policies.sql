-- No materialised view and no foreign table is in reach: row level security does not exist for them.
SELECT name, CASE kind WHEN 'm' THEN 'a materialised view' ELSE 'a foreign table' END || ' has no row level security',
       format('REVOKE ALL ON %s FROM %I, PUBLIC', name, $1::name)
FROM relation WHERE kind IN ('m', 'f')
