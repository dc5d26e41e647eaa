-- The only function in reach that runs with its owner's rights is the one that verifies the context.
SELECT name, 'it runs with its owner''s rights', format('REVOKE EXECUTE ON FUNCTION %s FROM %I, PUBLIC', name, $1::name)
FROM routine WHERE definer AND name <> 'tenancy.verified_context()'
