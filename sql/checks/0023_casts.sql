-- No function stands behind the casts that the policies use: it could make one tenant's id of another's.
SELECT format('cast from %s to %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
       format('it runs %s, and the policies use it', c.castfunc::regprocedure),
       format('DROP CAST (%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL))
FROM pg_cast c
WHERE c.oid >= 16384 AND c.castmethod = 'f'
  AND c.castsource IN ('text'::regtype, 'varchar'::regtype, 'smallint'::regtype, 'integer'::regtype)
  AND c.casttarget IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype, 'integer'::regtype, 'bigint'::regtype)
