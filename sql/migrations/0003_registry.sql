-- The registry: which tenants there are, and which people belong to them. Each table: policy before grant.

SET LOCAL ROLE tenancy_owner;

CREATE TABLE tenancy.tenants (
  -- The characters that identity providers use in the ids they issue; none of them ends a field of the signed context.
  tenant_id text COLLATE "C" PRIMARY KEY CHECK (tenant_id ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$'),
  name      text NOT NULL,
  active    boolean NOT NULL DEFAULT true
);

CREATE TABLE tenancy.user_tenants (
  issuer    text COLLATE "C" NOT NULL CHECK (issuer <> ''),
  user_sub  text COLLATE "C" NOT NULL CHECK (user_sub <> ''),
  tenant_id text COLLATE "C" NOT NULL REFERENCES tenancy.tenants (tenant_id),
  PRIMARY KEY (issuer, user_sub, tenant_id)
);

ALTER TABLE tenancy.tenants      ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.tenants      FORCE  ROW LEVEL SECURITY;
ALTER TABLE tenancy.user_tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.user_tenants FORCE  ROW LEVEL SECURITY;

-- Whoever administers as the owner (adding tenants, foreign-key checks) sees all rows; the login is never a member of it.
CREATE POLICY administration ON tenancy.tenants      TO tenancy_owner USING (true) WITH CHECK (true);
CREATE POLICY administration ON tenancy.user_tenants TO tenancy_owner USING (true) WITH CHECK (true);

-- A person sees their own mappings, by the issuer and subject of the signed context, and nobody else's. The floor is
-- restrictive: no policy that is added later can widen what it lets through.
CREATE POLICY person_floor ON tenancy.user_tenants AS RESTRICTIVE TO :"login"
  USING      (issuer = (SELECT tenancy.current_issuer()) AND user_sub = (SELECT tenancy.current_subject()))
  WITH CHECK (issuer = (SELECT tenancy.current_issuer()) AND user_sub = (SELECT tenancy.current_subject()));
CREATE POLICY person_reads ON tenancy.user_tenants FOR SELECT TO :"login"
  USING (issuer = (SELECT tenancy.current_issuer()) AND user_sub = (SELECT tenancy.current_subject()));

-- A tenant's own entry, or one that the person is mapped to: enough to tell unknown and inactive tenants apart.
-- One array, computed once, so that the primary key serves it among any number of tenants.
CREATE POLICY tenant_floor ON tenancy.tenants AS RESTRICTIVE TO :"login"
  USING (tenant_id = ANY (ARRAY(
    SELECT tenancy.current_tenant() UNION ALL SELECT u.tenant_id FROM tenancy.user_tenants u)))
  WITH CHECK (tenant_id = (SELECT tenancy.current_tenant()));
CREATE POLICY tenant_reads ON tenancy.tenants FOR SELECT TO :"login"
  USING (tenant_id = ANY (ARRAY(
    SELECT tenancy.current_tenant() UNION ALL SELECT u.tenant_id FROM tenancy.user_tenants u)));

GRANT SELECT ON tenancy.tenants, tenancy.user_tenants TO :"login";

-- Two tenants for the live proofs of `tenantgate doctor`, by a context that only the server signs: no identity provider
-- can be called so, for issuers are URLs. A function and not a policy, so that the lookup above stays an index lookup.
CREATE FUNCTION tenancy.proof_tenants() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT t.tenant_id FROM tenancy.tenants t
  WHERE t.active AND (SELECT tenancy.current_issuer()) = 'tenantgate:proof' ORDER BY t.tenant_id LIMIT 2;
END;
GRANT EXECUTE ON FUNCTION tenancy.proof_tenants() TO :"login";

RESET ROLE;
