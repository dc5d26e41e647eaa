-- No sequence is in reach: its value tells how many rows all tenants made.
SELECT name, 'the login may read or advance it', format('REVOKE ALL ON SEQUENCE %s FROM %I, PUBLIC', name, $1::name)
FROM relation WHERE kind = 'S'
