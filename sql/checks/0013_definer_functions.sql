-- The only functions in reach that run with their owner's rights are the two of the core.
SELECT name, 'it runs with its owner''s rights', format('REVOKE EXECUTE ON ROUTINE %s FROM %I, PUBLIC', name, $1::name)
FROM routine WHERE definer AND name NOT IN ('tenancy.verified_context()', 'tenancy.proof_tenants()')
