-- Policies for the login call the context as `(SELECT …)`: once a query. Bare, it runs for every row, a hundred times slower.
SELECT relation::regclass::text, format('its policy %I calls the tenant context for every row', name),
       'write (SELECT tenancy.current_tenant()) in place of tenancy.current_tenant()'
FROM policy
WHERE condition ~ '(?<!SELECT \(*)tenancy\.(current_|verified_)'
