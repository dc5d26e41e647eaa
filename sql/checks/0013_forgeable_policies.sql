-- No policy for the login reads a setting, which every SQL text can set.
SELECT relation::regclass::text, format('its policy %I reads a session setting, which anybody can set', name),
       'use tenancy.current_tenant(), which verifies a signature'
FROM policy
WHERE condition ~ 'current_setting\('
