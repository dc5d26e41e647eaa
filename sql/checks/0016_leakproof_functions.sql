-- No function of an application claims to be LEAKPROOF: such a one sees the rows before the policies do.
SELECT name, 'it is LEAKPROOF', format('ALTER ROUTINE %s NOT LEAKPROOF', name)
FROM routine WHERE leakproof
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = routine.oid AND d.deptype = 'e')
